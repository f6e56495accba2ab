"""Sentences that we wrote ourselves: one wish or one fault, worded in many ways and languages.

They teach the space of comparison that "please add …", "추가해 주세요" and the language say nothing
about the subject, which no labelled set of real posts holds side by side. Plainly synthetic.
"""

from collections.abc import Iterator, Sequence

_WISHES = (
    ("a night theme", "야간 테마", "un thème nuit"),
    ("an offline mode", "오프라인 모드", "un mode hors ligne"),
    ("a lock screen widget", "잠금 화면 위젯", "un widget sur l'écran de verrouillage"),
    ("Excel export", "엑셀 내보내기", "l'export vers Excel"),
    ("a search filter", "검색 필터", "un filtre de recherche"),
    ("a countdown timer", "카운트다운 타이머", "un compte à rebours"),
    ("a weekly report", "주간 보고서", "un rapport hebdomadaire"),
    ("a student discount", "학생 할인", "une réduction pour étudiants"),
    ("voice control", "음성 제어", "la commande vocale"),
    ("a tablet version", "태블릿 버전", "une version pour tablette"),
    ("a Windows program", "윈도우용 프로그램", "un logiciel pour Windows"),
    ("a sleep timer", "취침 타이머", "une minuterie de sommeil"),
    ("a shopping list", "장보기 목록", "une liste de courses"),
    ("early morning delivery", "새벽 배송", "la livraison tôt le matin"),
    ("vegetarian dishes", "채식 메뉴", "des plats végétariens"),
    ("free returns", "무료 반품", "le retour gratuit"),
    ("gift wrapping", "선물 포장", "un emballage cadeau"),
    ("a late checkout", "늦은 체크아웃", "un départ tardif"),
    ("larger parking spaces", "더 넓은 주차 공간", "des places de parking plus larges"),
    ("a lane for bicycles", "자전거 도로", "une piste cyclable"),
    ("more bus stops", "버스 정류장 확대", "plus d'arrêts de bus"),
    ("subtitles for films", "영화 자막", "des sous-titres pour les films"),
    ("playback speed control", "재생 속도 조절", "le réglage de la vitesse de lecture"),
    ("a playlist shuffle", "재생 목록 섞기", "la lecture aléatoire"),
    ("song lyrics", "노래 가사 보기", "les paroles des chansons"),
    ("a multiplayer mode", "멀티플레이 모드", "un mode multijoueur"),
    ("new levels", "새로운 레벨", "de nouveaux niveaux"),
    ("cloud saves", "클라우드 저장", "la sauvegarde dans le nuage"),
    ("automatic backup", "자동 백업", "la sauvegarde automatique"),
    ("face recognition login", "얼굴 인식 로그인", "la connexion par reconnaissance faciale"),
    ("a password manager", "비밀번호 관리 기능", "un gestionnaire de mots de passe"),
    ("bank transfers", "계좌 이체", "les virements bancaires"),
    ("credit card payment", "신용카드 결제", "le paiement par carte"),
    ("spending statistics", "지출 통계", "des statistiques de dépenses"),
    ("several currencies", "여러 통화 지원", "plusieurs devises"),
    ("a currency converter", "환율 계산기", "un convertisseur de devises"),
    ("message pinning", "메시지 고정", "l'épinglage des messages"),
    ("read receipts", "읽음 표시", "les accusés de lecture"),
    ("message translation", "메시지 번역", "la traduction des messages"),
    ("video calls", "영상 통화", "les appels vidéo"),
    ("scheduled sending", "예약 전송", "l'envoi programmé"),
    ("photo albums", "사진 앨범", "des albums photo"),
    ("photo editing", "사진 편집", "la retouche de photos"),
    ("QR code scanning", "큐알 코드 스캔", "la lecture de codes QR"),
    ("a barcode reader", "바코드 인식", "un lecteur de codes-barres"),
    ("reminders to drink water", "물 마시기 알림", "des rappels pour boire de l'eau"),
    ("blood pressure records", "혈압 기록", "le suivi de la tension"),
    ("a heart rate graph", "심박수 그래프", "un graphique du pouls"),
    ("a swimming mode", "수영 모드", "un mode natation"),
    ("stair counting", "계단 수 측정", "le comptage des étages"),
    ("menstrual cycle tracking", "생리 주기 기록", "le suivi du cycle menstruel"),
    ("weight goals", "체중 목표", "des objectifs de poids"),
    ("route recording", "경로 기록", "l'enregistrement du trajet"),
    ("indoor maps", "실내 지도", "des plans d'intérieur"),
    ("traffic information", "교통 정보", "les informations sur le trafic"),
    ("weather on the home page", "첫 화면 날씨", "la météo sur la page d'accueil"),
    ("stock prices", "주식 시세", "les cours de la bourse"),
    ("news summaries", "뉴스 요약", "des résumés de l'actualité"),
    ("bookmarks", "즐겨찾기", "des marque-pages"),
    ("page numbers", "쪽 번호", "la numérotation des pages"),
    ("a spelling check", "맞춤법 검사", "un correcteur d'orthographe"),
    ("handwriting input", "손글씨 입력", "la saisie manuscrite"),
    ("tables in notes", "메모에 표 넣기", "des tableaux dans les notes"),
    ("tags for notes", "메모 태그", "des étiquettes pour les notes"),
    ("recurring tasks", "반복 작업", "des tâches récurrentes"),
    ("a Gantt chart", "간트 차트", "un diagramme de Gantt"),
    ("guest accounts", "게스트 계정", "des comptes invités"),
    ("parental control", "자녀 보호 기능", "le contrôle parental"),
    ("single sign-on", "통합 로그인", "l'authentification unique"),
    ("audit logs", "감사 기록", "un journal d'audit"),
    ("webhooks", "웹훅", "des webhooks"),
    ("a public interface for programmers", "개발자용 공개 API", "une interface pour développeurs"),
    ("drag and drop", "끌어서 놓기", "le glisser-déposer"),
    ("split screen", "화면 분할", "l'écran partagé"),
    ("colours for the blind to red", "색맹용 색상", "des couleurs pour daltoniens"),
    ("high contrast", "고대비 화면", "un contraste élevé"),
    ("a screen reader", "화면 낭독", "un lecteur d'écran"),
    ("a left-handed layout", "왼손잡이 배치", "une disposition pour gauchers"),
    ("custom ringtones", "벨소리 변경", "des sonneries personnalisées"),
    ("a vibration setting", "진동 설정", "un réglage des vibrations"),
)
_FAULTS = (
    ("the alarm", "알람", "l'alarme"),
    ("synchronisation", "동기화", "la synchronisation"),
    ("login", "로그인", "la connexion au compte"),
    ("the camera", "카메라", "l'appareil photo"),
    ("the microphone", "마이크", "le micro"),
    ("the GPS", "위치 추적", "le GPS"),
    ("the step counter", "걸음 수 측정", "le compteur de pas"),
    ("the search", "검색", "la recherche"),
    ("payment", "결제", "le paiement"),
    ("the download", "다운로드", "le téléchargement"),
    ("the touch screen", "터치 화면", "l'écran tactile"),
    ("the charger", "충전기", "le chargeur"),
    ("the coupon", "쿠폰", "le coupon"),
    ("printing", "인쇄", "l'impression"),
    ("the chat", "채팅", "la messagerie"),
    ("the video", "동영상", "la vidéo"),
)
_ASKS = (
    (
        "please add {}", "it would be nice to have {}", "I wish there was {}", "can you add {}?",
        "could we get {} please", "you should support {}", "we need {}", "{} please!",
        "the only thing missing is {}", "hope to see {} in the next update", "let us use {}",
        "Great app, but I really miss {}.", "Why is there no {}?", "Add {}", "no {}, sadly",
        "5 stars if you bring {}", "I would love {}, thanks", "my suggestion: {}",
    ),
    (
        "{} 추가해 주세요", "{} 만들어 주세요", "{} 넣어 주세요", "{} 있으면 좋겠어요",
        "{} 부탁드립니다", "{}도 지원해 주시면 안 될까요?", "{} 필요합니다", "왜 {} 없나요?",
        "다음 업데이트에 {} 넣어주세요~", "{} 없어서 아쉬워요", "{} 추가되면 좋을 듯",
        "{} 제안합니다", "{} 좀 해줘요 ㅠㅠ", "다 좋은데 {} 없네요",
        "{} 기능이 있었으면 합니다", "제발 {} 추가좀",
    ),
    (
        "ajoutez {} svp", "il manque {}", "ce serait bien d'avoir {}", "j'aimerais {}",
        "pourriez-vous ajouter {} ?", "il faudrait {}", "dommage qu'il n'y ait pas {}", "{} merci",
        "très bien, mais il manque {}", "à quand {} ?",
    ),
)  # fmt: skip
_COMPLAINTS = (
    (
        "{} does not work", "{} stopped working since the update", "{} is broken", "{} never works",
        "I have a problem with {}", "{} keeps failing, please fix", "{}?? useless since last week",
        "bug: {}", "can't use {} anymore",
    ),
    (
        "{} 안 돼요", "{} 오류 나요", "업데이트하고 {} 먹통이에요", "{} 작동을 안 합니다",
        "{} 고쳐 주세요", "{} 문제 있어요", "{} 자꾸 실패해요 ㅡㅡ", "{} 안됨",
    ),
    (
        "{} ne marche pas", "{} ne fonctionne plus depuis la mise à jour", "problème avec {}",
        "bug : {}", "{} toujours en panne",
    ),
)  # fmt: skip


def groups() -> Iterator[list[str]]:
    """All wordings of one wish or one fault, group by group."""
    for subjects, frames in ((_WISHES, _ASKS), (_FAULTS, _COMPLAINTS)):
        yield from _worded(subjects, frames)


def wishes() -> Sequence[str]:
    """All wordings of all wishes."""
    return [text for group in _worded(_WISHES, _ASKS) for text in group]


def faults() -> Sequence[str]:
    """All wordings of all faults."""
    return [text for group in _worded(_FAULTS, _COMPLAINTS) for text in group]


def frames() -> Sequence[str]:
    """What surrounds the subject, alone."""
    every = (*_ASKS, *_COMPLAINTS)
    return [frame.format("").strip() for worded in every for frame in worded]


def _worded(
    subjects: Sequence[tuple[str, ...]], frames: Sequence[tuple[str, ...]]
) -> Iterator[list[str]]:
    for subject in subjects:
        yield [
            frame.format(name)
            for name, worded in zip(subject, frames, strict=True)
            for frame in worded
        ]
