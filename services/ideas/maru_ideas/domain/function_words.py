"""Words that say nothing about a subject: function words, greetings, and what every wish has.

Ours, and short on purpose: whatever is frequent in all posts of a product loses against them
anyway. These are for the first days, when there is little to lose against.
"""

_ENGLISH = (
    "the and for are but not you all any can had her was one our out has him his how its may "
    "new now old see two way who did get let say she too use that this with have from they "
    "will would there their what about which when make like time just know take into year "
    "your some could them than then only come over also back after even because these those "
    "want been being does doing done don doesn didn isn wasn won can't cannot very really "
    "much many more most less such still again ever never always every each other another "
    "same both few own here where why while were should shall might must need needs needed "
    "please pls plz thanks thank hello hey dear app apps good great nice best bad well better "
    "worse love hate hope wish got getting gets give gives going goes went try tried trying "
    "keep keeps thing things something anything nothing everything someone anyone everyone "
    "lot lots bit yes yet before since until through between without within during against "
    "upon off down up already anymore though although however i'm i've it's that's ive im "
    "dont doesnt cant wont isnt made says said fix add used using uses work works working "
    "worked able help put look looks tell told think feel feels felt seems seem actually "
    "first last next day days week weeks month ago excellent awesome perfect perfectly super "
    "amazing cool happy top wonderful fantastic brilliant fine okay recommend recommended "
    "satisfied pleased star stars terrible horrible awful useless rubbish crap sucks "
    "disappointed disappointing having around amount otherwise problem problems"
)
_FRENCH = (
    "les des une est pas pour que qui dans sur avec par plus mais vous nous ils elle elles "
    "son ses mon mes ton tes leur leurs cette ces cet tout tous toute toutes bien très trop "
    "aussi comme fait faire être avoir ont sont était sans sous chez donc alors quand depuis "
    "encore même autre autres merci bonjour svp application peut peux veux veut j'ai c'est "
    "n'est qu'il plait peu génial géniale superbe parfait parfaite parfaitement bon bonne "
    "excellente sympa adore content contente satisfait satisfaite vraiment assez nul nulle "
    "dommage problème étoile étoiles jamais toujours rien moins jour jours mois fois aucun "
    "aucune quoi chaque obligé puisse avant après entre aux suis ça cela"
)
# German, Dutch, Spanish, Portuguese, Italian, Polish, Turkish, Russian.
_OTHERS = (
    "der die das den dem des ein eine einen einem einer und ist nicht auch mit für auf von "
    "aus bei ich wir sie ihr mir mich man noch nur wenn wie sehr aber oder dass sich hat "
    "haben sind war het een van dat niet zijn wordt maar ook nog heel voor met naar deze dit "
    "wel geen mijn los las una unos unas con por para que del más pero muy como este esta "
    "esto son fue hay sin sobre todo todos cuando desde porque también uma dos não com mais "
    "muito isso ser está tem foi meu minha gli della dello dei nel nella che non sono anche "
    "più molto questo questa quando perché per alla era nie się jest jak ale dla już tak "
    "tylko czy jego przez bardzo mnie tego bir bu için çok ama daha gibi var yok ile değil "
    "kadar olarak что как это для все так его она они мне был уже или если нет при только "
    "очень когда где еще меня нас вас"
)
_KOREAN = (
    "이거 그거 저거 이것 그것 저것 이게 그게 저게 여기 거기 저기 우리 저희 제가 내가 나는 "
    "저는 그냥 정말 진짜 너무 아주 매우 조금 많이 자꾸 계속 다시 항상 맨날 매번 아직 이미 "
    "벌써 지금 오늘 어제 내일 요즘 이제 그리고 그런데 근데 그래서 하지만 그러나 또는 혹시 제발 "
    "부디 빨리 얼른 바로 모두 전부 다른 같은 이런 그런 저런 어떤 무슨 왜 어떻게 언제 누가 "
    "때문 정도 경우 이상 이하 이후 이전 하나 한번 가지 부분 문제 기능 사용 이용 생각 부탁 "
    "감사 안녕 수고 추가 좋겠 있으 없으 있는 없는 있어 없어 있고 없고 있게 없이 하는 하고 "
    "하면 해서 해도 해야 되는 되고 되면 돼서 안돼 안되 않고 않는 않아 못해 못하 같아 같습 "
    "좋아 좋은 좋게 좋네 최고 별로 완전 만들 해주 주세 주시 바랍 합니 입니 습니 됩니 네요 "
    "어플 이번 다음 그대로 도무지 아예 전혀 거의 약간 조차 밖에 동안 사람 경험 필요 가능 불편 "
    "이유 확인 해결 개선 제공 지원 대해 대한 위해 통해 관련 보다 갑자기 그렇게 이렇게 저렇게 "
    "솔직히 일단 역시 제일 가장 특히 모든 여러 서로 먼저 마음 느낌 나서 만족 추천 강추 굿 짱 "
    "대박 실망 짜증 쓰레기 훌륭 완벽 나니 되나 하나요 인데 인가요 건가요 거예요 건지 뭔가 뭐가 "
    "아니 아닌 아님 그때 처음 마지막"
)
FUNCTION_WORDS = frozenset(f"{_ENGLISH} {_FRENCH} {_OTHERS} {_KOREAN}".split())
"""Lower case; a Korean word is here as its stem (`naming.stem`)."""
