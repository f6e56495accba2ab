"""Words that tell what a clause is about and how it is judged, in English and Korean.

`VALENCE` and `STEM` hold judgements of things (a screen is dim, a delivery fast), which a mood
head that learnt from film reviews and small talk does not know. `FUNCTION` and `NO_NOUNS` bound
English noun phrases; `NO_TERMS` and `NO_KOREAN_TERMS` are nouns that name no part of a product.
"""

import re
from collections.abc import Iterable, Mapping

_GOOD = """
    adore adored accurate adorable affordable amazing awesome beautiful beautifully best better
    bright brilliant charming cheaper clean clear comfortable comfy convenient cool cute delicious
    durable easier easy effective efficient elegant enjoyable enjoyed excellent excited exciting
    fabulous fair fantastic fast faster fine flawless flawlessly friendly fresh fun generous
    gorgeous great handy happy helped helpful helps impressed impressive improved incredible
    intuitive joy like liked lightweight love loved lovely loves magnificent neat nice nicely
    outstanding perfect perfectly pleasant pleased polite polished powerful precise premium pretty
    quick quickly quiet recommend reliable responsive satisfied sharp sleek slick smart smooth
    smoothly snappy soft solid spacious stable sturdy stunning stylish superb superior tasty
    terrific thank thanks useful valuable vivid vibrant wonderful wonderfully work works worth
    simple enjoy responded
"""
_BAD = """
    abysmal annoying annoyed annoyingly atrocious awful awfully awkward bad badly blurry bloated
    bland boring broke broken buggy bulky cheap clunky cold complicated confusing corrupted costly
    crap crappy crash crashed crashes crashing damaged dead defective delayed dies died dim dirty
    disappoint disappointed disappointing disappointment disaster dreadful drops dropped dropping
    drains draining dull expensive fail failed failing fails faulty flaky flimsy fragile freezes
    freezing froze frustrated frustrating furious garbage glitchy glitches greasy hate hated hates
    heavy horrendous horrible horribly inaccurate inconsistent inconvenient joke junk lacking lags
    laggy lagging late leaking leaks loud lousy mediocre mess messy misleading missing nightmare
    noisy outdated overheats overheating overpriced painful painfully pathetic pointless poor
    poorly pricey pushy ripoff rough rude rubbish sad scam scratched shabby shoddy sloppy slow
    slower slowly sluggish small smells smelly sticky stale struggle stuck stupid sucks stutters
    terrible terribly tiny trash ugly unacceptable unclear uncomfortable unfriendly unhelpful
    unpleasant unreadable unreliable unresponsive unstable unusable upset useless waste weak weird
    worse worst worthless wrong impossible hard difficult flickers flickering wobbly tasteless
    unsafe breaks disgusting downgrade forgets
"""
VALENCE: Mapping[str, int] = dict.fromkeys(_GOOD.split(), 1) | dict.fromkeys(_BAD.split(), -1)
"""English judgements: +1 or -1."""

NEGATIONS = frozenset(
    """
    not no never cannot without hardly barely nothing isn't wasn't aren't weren't don't doesn't
    didn't won't can't couldn't wouldn't shouldn't hasn't haven't hadn't ain't isnt wasnt arent
    dont doesnt didnt wont cant couldnt isn’t wasn’t aren’t weren’t don’t doesn’t didn’t won’t
    can’t couldn’t wouldn’t hasn’t haven’t
    """.split()  # noqa: SIM905 - shorter to read than a list
)

CONTRASTS = frozenset(
    """
    but although though however yet while whereas despite except nevertheless unfortunately
    """.split()  # noqa: SIM905 - as above
)

DETERMINERS = frozenset(
    """
    the a an my your his her its our their this that these those no every each any some both all
    another such what
    """.split()  # noqa: SIM905 - as above
)
PREPOSITIONS = frozenset(
    "of with for in on at from about by into like than via per".split()  # noqa: SIM905 - as above
)
VERBS = frozenset(
    """
    is are was were be been being am isn't wasn't aren't weren't has have had hasn't haven't does
    do did doesn't don't didn't can can't could couldn't will won't would wouldn't should keeps
    kept keep feels feel felt looks look looked sounds sounded tastes tasted smells smelled seems
    seem seemed works worked fails failed crashes crashed freezes froze dies died broke breaks
    loads loaded takes took needs needed makes made got gets get goes went became becomes stopped
    stops lasts lasted runs ran lags drains drops dropped stays stayed arrived came comes
    responded sucks rocks gives gave lets let blew exceeded remains shows showed never always
    still just isn’t wasn’t aren’t weren’t doesn’t don’t didn’t can’t won’t stutters
    """.split()  # noqa: SIM905 - as above
)
"""Words whose left neighbour may be a noun: what is, does or feels something."""

_FUNCTION = """
    i you he she it we they me him us them myself yourself itself themselves who whom whose which
    what where when why how and or nor so if then else because since until unless as to too very
    really quite rather pretty super extremely absolutely totally completely incredibly way more
    most less least much many few little lot lots bit only even also again already yet ever never
    always often sometimes usually still just now today yesterday tomorrow tonight soon later ago
    once twice here there everywhere out up down off over under after before during through
    between across around without within against along behind near not n't please yes yeah ok okay
    oh wow lol omg hi hello hey thanks thank must may might shall should would could can will been
    being having doing one two three four five six seven eight nine ten first second third last
    next other others same own new newer newest old older current latest entire whole single
    several various different certain able i'm i've i'd i'll it's that's there's you're you've
    we're we've they're they've he's she's let's what's who's im ive id its dont didnt cant wont
    isnt doesnt i’m i’ve i’d i’ll it’s that’s there’s you’re we’re they’re let’s what’s everything
    something anything nothing everyone someone anyone nobody anybody somebody half such via etc
"""
FUNCTION = frozenset(_FUNCTION.split()) | DETERMINERS | PREPOSITIONS | VERBS | NEGATIONS | CONTRASTS
"""English words that are never part of a term."""

_NO_NOUNS = """
    want wants wanted need use used using try tried trying think thought thinks know knew known
    say said says see saw seen tell told ask asked find found buy bought paid pay purchase
    purchased order ordered download downloaded install installed uninstall uninstalled delete
    deleted open opened opens close closed start started begin began write wrote written read send
    sent receive received return returned call called wait waited waiting hope wish guess believe
    expect expected understand understood learn learned help put turn turned switch switched set
    change changed move moved bring brought leave left lose lost win won meet met eat ate drink
    drank sleep slept drive drove walk walked sit sat stand stood watch watched listen listened
    hear heard speak spoke play played live lived stay follow followed create created add added
    remove removed fix fixed fixing improve update updated upgraded click clicked save saved share
    shared love live give given take taken make making going coming getting looking load longer
    long short big bigger large high low full empty free real true false only good well available
    possible original early late main major minor general average modern basic extra overall
    surprisingly especially particularly finally actually honestly basically literally ready sure
    glad sorry afraid alone alive apart away back forward forever together maybe perhaps
    nonetheless otherwise anyway instead almost nearly enough ages bored tired surprised kudos
    bravo spot blown lightly crystal digital online costs cost offers offered include includes
    included allow allows won’t wear wore reply replied charge charged cover covers hurts hurt
    ruined ruins ruin beats beat fits fit miss missed deserves deserve worries appreciate
    appreciated regret regretted dislike disliked despise adore adored prefer yesterday morning
"""
NO_NOUNS = frozenset(_NO_NOUNS.split())
"""English verbs, adjectives and adverbs that are no nouns, or seldom."""

_PRODUCT = """
    account accounts ad ads alarm alarms algorithm animation animations app application apps
    article audio autocorrect backup backups battery bluetooth book browser bug bugs build button
    buttons cable calendar call calls camera cart case charger charging chat checkout cloud color
    colors colour colours community connection connectivity content control controls cost cover
    crash crashes customer dashboard data delivery design device display docs documentation
    download driver earbuds editor email emoji export fabric fan feature features feed filter
    filters firmware fit folder font fonts food game gameplay gps graphics grip handle hardware
    headphones help hotel icon icons import installation instructions integration interface
    keyboard lag language laptop layout lens location login logo map maps material materials menu
    menus message messages microphone mic mode modes monitor mouse music navigation network
    notification notifications onboarding options packaging page pages password payment payments
    performance phone photo photos picture player playlist playlists plot policy price prices
    pricing printer privacy product profile quality range recipes refund registration reminder
    reminders remote report reports resolution restaurant results room scanner screen search
    security seller seat seats sensor server servers service settings setup shipping shoes shop
    signal signup site size sleep software sound soundtrack speaker speakers speed staff stability
    storage store story strap stream streaming subscription subtitles support sync syncing system
    tablet tab tabs team text theme themes touchpad touchscreen translation tutorial typing ui
    update updates upload ux value version video videos view voice volume waiter warranty watch
    website wheel widget widgets wifi wi-fi zipper stitching acting ending cast script seating
    parking cleaning booking editing billing pricing wording texting recording recordings rating
    ratings training packing lighting syncing tracking messaging stitching coating coffee
"""
PRODUCT = frozenset(_PRODUCT.split())
"""Nouns of products: terms wherever they stand, with no other sign."""

NO_TERMS = frozenset(
    """
    thing things time times day days week weeks month months year years hour hours minute minutes
    second seconds people person guy guys man men woman women kid kids wife husband friend friends
    mom dad son daughter everyone way ways lot bit kind sort problem problems issue issues fact
    reason idea point part parts job work place end money bucks dollars star stars world life god
    name case example question monday tuesday wednesday thursday friday saturday sunday january
    february march april june july august september october november december person love hate joy
    mess joke nightmare disaster disappointment waste garbage rubbish junk trash crap scam ripoff
    use user users anyone house home office meeting birthday
    """.split()  # noqa: SIM905 - as above
)
"""English nouns that are no terms by themselves; at the end of a term they may stand."""

_GOOD_STEMS = """
    끝내주 끝내준 알찬 탄탄 기막히 짱짱 예쁘 예쁜 예뻐 예뻤 예쁩 이쁘 이쁜 이뻐 이뻤 빠르 빠른
    빨라 빨랐 빨리|처리 편하 편한 편해 편했 편합 편리 편안 편해 깔끔 정확 유용 친절 오래가 오래|가
    가벼 가볍 선명 맛있 맛나 깨끗 간편 간단 직관적 훌륭 완벽 만족 최고 좋 굿 마음에|들 마음에|듭
    멋지 멋진 멋져 멋있 아름 감동 재미있 재밌 매력 튼튼 부드러 부드럽 쾌적 안정적 저렴 매력 싸고
    똑똑 고급 세련 신속 탁월 뛰어나 뛰어난 뛰어납 감사 사랑 추천 행복 즐거 즐겁 쉽 쉬워 쉬운 시원
    든든 귀여 귀엽 강추 대박 짱 알차 푹신 넓어 넓고 넓은 밝아 밝고 개선 웃기 감탄 짜임새 대만족
    유익 풍부 따뜻 잘 고마 반응이 맑 맛집 넉넉 조용 믿음
"""
_BAD_STEMS = """
    심각해 시원찮 거지같 어두 어둡 비싸 비싼 비쌈 비쌉 비쌌 느리 느린 느려 느립 느렸 불편 복잡
    끊기 끊겨 끊김 끊긴 더럽 더러 작아 작고 작은 뻑뻑 무겁 무거 뜨겁 뜨거 튕기 튕겨 튕김 튕긴 튕깁
    고장 깨지 깨져 깨진 시끄 약하 약해 약한 엉망 별로 최악 형편없 실망 짜증 답답 불친절 불만 싫
    지루 재미없 노잼 쓰레기 못생 싸구려 심해 심하 심각 떨어져 떨어지 떨어집 떨어졌 아깝 아쉽 아쉬
    후회 화가 화나 열받 속상 힘들 어렵 어려 불안 오류 에러 먹통 멈추 멈춰 멈춥 렉 버벅 끔찍 조잡
    부실 부족 뻔하 뻔한 촌스 구리 구려 구림 허접 이상하 이상해 이상한 늦어 늦게 늦고 늦네 늦었 닳
    방전 사라 날아 삭제돼 불량 파손 찢어 망가 망했 망한 나쁘 나쁜 나빠 나빴 쓸모없 쓸데없 무례
    불쾌 엉터리 빡치 빡쳐 막히 막혀 좁아 좁고 좁은 흐릿 흐려 차가 딱딱 질겨 짜고 짜서 비리 냄새나
    미흡 억지 유치 졸작 발연기 발열 흔들 시끄러 지저분 거슬 불안정 헷갈 과하 과해 없애 스트레스
    못하 못해 못합 못했 안되 안돼 안됨 안됩 안됐
"""


# `a|b` in the lists is a stem that goes on in the next word.
STEM_VALENCE: Mapping[str, int] = dict.fromkeys(_GOOD_STEMS.replace("|", "").split(), 1) | (
    dict.fromkeys(_BAD_STEMS.replace("|", "").split(), -1)
)
"""Korean judgements: +1 or -1, without blanks."""


def _any_of(stems: Iterable[str]) -> re.Pattern[str]:
    """Find the longest of the stems that begin at a place.

    Those with the same first letter stand together: the engine then tries few of them.
    """
    longest_first = sorted(stems, key=lambda stem: (-len(stem), stem))
    grouped: dict[str, list[str]] = {}
    for stem in longest_first:
        grouped.setdefault(stem[0], []).append(stem[1:])
    return re.compile("|".join(f"{first}(?:{'|'.join(of)})" for first, of in grouped.items()))


STEM = _any_of(stem.replace("|", " ?") for stem in {*_GOOD_STEMS.split(), *_BAD_STEMS.split()})
"""A judgement in a Korean text."""

KOREAN_PRODUCT = tuple(
    """
    앱 어플 화면 배터리 디자인 가격 배송 포장 음질 화질 소리 속도 서비스 고객센터 상담 상담원
    카메라 스피커 기능 알림 로그인 광고 업데이트 위젯 글씨 글꼴 키보드 성능 인터페이스 충전 결제
    환불 교환 구독료 설치 무게 품질 색감 재질 검색 메뉴 동기화 번역 자막 음악 스토리 줄거리 연기
    연출 결말 배우 배우들 영상미 그래픽 조작 조작감 서버 게임 지도 사진 필터 백업 캘린더 챗봇 직원
    직원분들 분위기 음식 맛 방 와이파이 좌석 화장실 커피 와인 냄새 소음 마이크 이어폰 터치 버튼
    모드 다크모드 비밀번호 가입 인증 계정 설정 편집 저장 공유 다운로드 구성 디스플레이 블루투스
    연결 내구성 마감 사이즈 착용감 그립감 가성비 양 재생 대사 대본 각본 액션 OST UI UX
    """.split()  # noqa: SIM905 - as above
)
"""Nouns of products: Korean terms also without a particle."""

NO_KOREAN_TERMS = frozenset(
    """
    최고 최악 만족 실망 별로 진짜 정말 생각 기분 사람 사람들 때 것 거 문제 느낌 마음 감사 추천
    강추 비추 이유 정도 경우 때문 덕분 이후 이번 다음 오늘 어제 내일 요즘 지금 처음 마지막 매일
    매번 계속 하루 아침 저녁 오후 오전 시간 분 초 년 월 일 주 개 번 명 원 이거 저거 그거 여기 저기
    거기 우리 저희 제 내 나 너 자기 본인 누구 무엇 뭐 모두 전부 다 전체 대부분 일부 하나 둘 조금
    약간 완전 아주 너무 매우 엄청 굉장 제일 가장 짱 대박 굿 꿀 쓰레기 엉망 짜증 화 화가 싸구려
    영화 작품 드라마 도움 불편 걱정 후회 기대 이상 이하 대비 사이 중 후 전 안 밖 위 아래 앞 뒤 속
    쪽 곳 데 말 점 수 줄 건 걸 게 뿐 만큼 의미 내용물 세상 인생 친구 엄마 아빠 아이 애들 남편 아내
    동생 언니 오빠 형 누나 회사 학교 집 서울 부산 한국 미국 일본 중국 금요일 월요일 화요일 수요일
    목요일 토요일 일요일 주말 평일 휴무 회의 대학생 경제학 세시 기차 돈 눈 손 몸 힘 맘 나이 이름
    자체 상태 방법 결과 부탁 사용 구매 주문 이용 확인 요청 문의 개선 추가 수정 삭제 필요 가능
    불가능 당연 그대로 나름 역시 솔직 노잼 꿀잼 핵노잼 존잼 망작 명작 걸작 수작 졸작 대작 띵작
    감동 재미 스트레스 고생 노력 희망 소리없 ㅋㅋ ㅎㅎ 평점 점수 별점 별 알바 쩔 강추합니다 덕 편
    적 님 씨 분 남자 여자 아저씨 아줌마 할머니 할아버지 시절 어린이 어른 개인 개인적 기억 자신
    무조건 최고임 적극 초반 중반 후반 끝 시작 이건 저건 그건 용 겸 관련
    """.split()  # noqa: SIM905 - as above
)
"""Korean nouns that are no terms by themselves."""
