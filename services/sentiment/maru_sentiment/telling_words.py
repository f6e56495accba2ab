"""Words about which n-grams are wrong: names that say nothing, and chat that says a lot.

`NAMES` are the same in every language and are left out. `SHARED` are words too, so they stay in a
sentence, but a post of nothing else has no language. `CHAT` are short forms, and Korean, Japanese,
Russian and Arabic in Latin letters; a word that two languages write alike is in none of its lists.
"""

from collections.abc import Mapping

_NAMES = """
    adidas airbnb airpods aliexpress alipay amazon amd android asus baemin bixby bluetooth bmw
    bybit chatgpt chromebook coupang discord disneyplus duolingo ebay facebook facetime fedex
    figma fitbit garmin github gitlab gmail google hdmi html http https huawei hulu hyundai
    icloud ikea imac instagram ios ipad ipados iphone itunes jira kakao kakaotalk kia kindle
    lenovo lg linkedin linux macbook macos maru mcdonalds microsoft netflix nfc nike nintendo
    nvidia oneplus onedrive openai outlook paypal photoshop pinterest playstation pokemon ps
    powerpoint reddit roblox safari samsung shazam shopify siri skype slack snapchat sony
    soundcloud spotify starbucks steam telegram temu tesla tiktok tmap toss trello tumblr twitch
    twitter uber ubuntu viber vimeo visa volkswagen vscode wechat whatsapp wikipedia wordpress
    xbox xiaomi yahoo yelp youtube zoom ai api app apps aws cpu csv dns dvd eta exe faq gif gpt
    gps gpu hd hdr html id ip jpeg jpg json kb lcd led lte mb mp mpeg nas oled os otp pc pdf php
    pin png ppt qr ram rss rtx sd sdk sim sms sns sql ssd ssl svg tv uhd ui url usb ux vip vpn vr
    wifi www xd xls xlsx xml zip
"""
NAMES = frozenset(_NAMES.split())
_SHARED = """
    adobe air apple chrome disney edge excel firefox galaxy gb tb max meta mini office opera
    pixel plus pro prime se store teams ultra windows lite ah aha eh ha haha hahaha hehe hm hmm
    huh mm mmm oh ok uh um demo info internet mail online video radio taxi hotel menu test
"""
SHARED = frozenset(_SHARED.split())
_CHAT = {
    "en": """
        lol lmao lmfao rofl omg idk tbh ngl plz pls pleeease thx tysm wtf wth btw imo imho smh
        bruh yup yep nope yay yeah ugh meh gonna wanna gotta dunno gimme lemme kinda sorta cuz
        asap rn fyi u ur gr8 m8 w8 pov iirc afaik ppl dude sooo goat lowkey highkey nvm hbu wdym
    """,
    "de": """
        vlt vllt evtl bzw iwie iwas hdl mfg nix geil moin servus jz jmd schoen koennte waere
        fuer ueber funzt krass iwann kacke
    """,
    "fr": """
        mdr ptdr jsp tkt svp stp slt bjr bsr bcp pk pcq jpp dsl oklm bof ouais ouf ajd qqn tjs mtn
        chui jsuis jai tres relou kiffe ouah pourri
    """,
    "it": """
        cmq nn xke xche perche perchè tvb tvtb qlc qlcs qlcn grz boh vabbe vabbè raga ragà cosi
        cioe
    """,
    "es": """
        xq xfa porfa porfis jaja jajaja jajajaja tqm tkm dnd tmb tmbn wey güey guey jeje holi hola
        aja nadie chido ntp xfavor
    """,
    "pt": """
        vc vcs pq tbm obg blz vlw flw kkk kkkk rsrs msm mto mta nao hj cmg ctz galera né aff ngm
        pfv pfvr qnd qdo tava tô pô caraca
    """,
    "nl": """
        aub ff idd gwn wrm mss iig hoi doei joh kut tof dankjewel btje graag egt sws bedankt effe
        ofzo
    """,
    "pl": """
        nwm spoko dzieki pozdro elo siema apka apki prosze czesc wogole wgl jprdl juz narazie bede
        dziala masakra
    """,
    "tr": """
        slm tmm tsk tskler sagol sağol tesekkurler tesekkur cok guzel degil calismiyor olmuyor knk
        kanka abi lutfen nasil niye acilmiyor guncelleme hocam nbr yav valla kotu
    """,
    "ko": """
        daebak jinjja jincha gamsahamnida kamsahamnida gomawo annyeong annyeonghaseyo saranghae
        saranghaeyo hwaiting oppa unnie eonni noona hyung aigo aigoo omo mianhae johayo choigo
        kyeopta aegyo maknae ppalli jebal mwo geurae arasso juseyo haejuseyo neomu
    """,
    "ja": """
        arigatou arigato gozaimasu desu masu kawaii sugoi konnichiwa konbanwa ohayou sumimasen
        gomen gomenasai gomennasai onegai onegaishimasu kudasai daisuki suki baka yabai minna nani
        sayonara hontou totemo oishii ganbatte otsukaresama senpai watashi
    """,
    "ru": """
        spasibo privet vsem bolshoe pozhaluysta pozhaluista pojaluista ochen ochen' horosho
        khorosho rabotaet kogda pochemu prilozhenie privyet zdravstvuyte ploho plokho otlichno
        krasivo nichego obnovlenie ispravte
    """,
    "ar": """
        shukran jazilan alaikum assalamu salaam inshallah inshaallah habibi habibti mashallah
        mashaallah yalla wallah wallahi alhamdulillah marhaba mabrook mafi kwayes keda kifak 3ndi
        7abibi jamil
    """,
}
CHAT: Mapping[str, str] = {
    word: language for language, words in _CHAT.items() for word in words.split()
}
"""A word, and the language that it speaks for."""
