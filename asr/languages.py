"""Names and codes of languages -> one code for each, wherever a language is given.

The table has ISO 639-1, the codes of ISO 639-2 and 639-3 for the same languages, the codes that these have replaced,
English names, and the name of a language in itself (CLDR's). Whisper's own code of Javanese, ``jw``, is one of the
replaced ones.
"""

import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from functools import cache

from asr.errors import ConfigError

_DETECTED = frozenset({"", "auto", "multi", "und", "mul"})
"""Names of no single language: it is to be detected, or it is unknown. ``und`` and ``mul`` are ISO 639-2's."""

_TABLE = """
aa aar: afar
ab abk: abkhazian
ae ave: avestan
af afr: afrikaans
ak aka: akan
am amh: amharic, አማርኛ
an arg: aragonese
ar ara arb arz apc ajp ary acm aeb ars afb: arabic, العربية
as asm: assamese, অসমীয়া
av ava: avaric
ay aym: aymara
az aze azj azb: azerbaijani, azərbaycan
ba bak: bashkir, башҡорт
be bel: belarusian, belarussian, беларуская
bg bul: bulgarian, български
bi bis: bislama
bm bam: bambara, bamanakan
bn ben: bengali, bangla, বাংলা
bo bod tib: tibetan, བོད་སྐད
br bre: breton, brezhoneg
bs bos: bosnian, bosanski
ca cat: catalan, valencian, català
ce che: chechen, нохчийн
ch cha: chamorro
co cos: corsican
cr cre: cree
cs ces cze: czech, čeština
cu chu: church slavic, church slavonic
cv chv: chuvash, чӑваш чӗлхи
cy cym wel: welsh, cymraeg
da dan: danish, dansk
de deu ger: german, deutsch
dv div: divehi, dhivehi, maldivian
dz dzo: dzongkha, རྫོང་ཁ
ee ewe: ewe, eʋegbe
el ell gre: greek, ελληνικά
en eng: english, american english, british english
eo epo: esperanto
es spa: spanish, castilian, español
et est ekk: estonian, eesti
eu eus baq: basque, euskara
fa fas per pes prs: persian, farsi, فارسی
ff ful fuc fuv: fulah, fula, fulani, pulaar
fi fin: finnish, suomi
fj fij: fijian
fo fao: faroese, føroyskt
fr fra fre: french, français
fy fry: western frisian, frisian, west frisian, frysk
ga gle: irish, gaeilge
gd gla: scottish gaelic, gaelic, scots gaelic, gàidhlig
gl glg: galician, galego
gn grn gug: guarani, guaraní
gu guj: gujarati, ગુજરાતી
gv glv: manx, gaelg
ha hau: hausa
he heb iw: hebrew, עברית
hi hin: hindi, हिन्दी
ho hmo: hiri motu
hr hrv scr: croatian, hrvatski
ht hat: haitian, haitian creole, kreyòl ayisyen
hu hun: hungarian, magyar
hy hye arm: armenian, հայերեն
hz her: herero
ia ina: interlingua
id ind in: indonesian, indonesia
ie ile: interlingue
ig ibo: igbo
ii iii: sichuan yi, ꆈꌠꉙ
ik ipk: inupiaq
io ido: ido
is isl ice: icelandic, íslenska
it ita: italian, italiano
iu iku: inuktitut
ja jpn: japanese, 日本語
jv jav jw: javanese, jawa
ka kat geo: georgian, ქართული
kg kon: kongo
ki kik: kikuyu, gikuyu
kj kua: kuanyama
kk kaz: kazakh, қазақ тілі, қазақша
kl kal: kalaallisut, greenlandic
km khm: khmer, cambodian, ខ្មែរ
kn kan: kannada, ಕನ್ನಡ
ko kor: korean, 한국어
kr kau: kanuri
ks kas: kashmiri, کٲشُر
ku kur kmr: kurdish, kurdî
kv kom: komi
kw cor: cornish, kernewek
ky kir: kirghiz, kyrgyz, кыргызча
la lat: latin, latina
lb ltz: luxembourgish, letzeburgesch, lëtzebuergesch
lg lug: ganda, luganda
li lim: limburgan, limburgish
ln lin: lingala, lingála
lo lao: lao, laotian, ລາວ
lt lit: lithuanian, lietuvių
lu lub: luba-katanga, tshiluba
lv lav lvs: latvian, latviešu
mg mlg plt: malagasy
mh mah: marshallese
mi mri mao: maori, māori
mk mkd mac: macedonian, македонски
ml mal: malayalam, മലയാളം
mn mon khk: mongolian, монгол
mr mar: marathi, मराठी
ms msa may zsm zlm: malay, melayu
mt mlt: maltese, malti
my mya bur: burmese, myanmar, မြန်မာ
na nau: nauru
nd nde: north ndebele, isindebele
ne nep npi: nepali, नेपाली
ng ndo: ndonga
nl nld dut: dutch, flemish, nederlands
nn nno: norwegian nynorsk, nynorsk, norsk nynorsk
no nor nb nob: norwegian, norwegian bokmål, bokmål, norsk
nr nbl: south ndebele
nv nav: navajo, navaho
ny nya: chichewa, chewa, nyanja
oc oci: occitan
oj oji: ojibwa
om orm gaz: oromo, oromoo
or ori ory: oriya, odia, ଓଡ଼ିଆ
os oss: ossetian, ossetic, ирон
pa pan: panjabi, punjabi, ਪੰਜਾਬੀ
pi pli: pali
pl pol: polish, polski
ps pus pbt pbu: pushto, pashto, پښتو
pt por: portuguese, brazilian portuguese, português
qu que quz quy: quechua, runasimi
rm roh: romansh, rumantsch
rn run: rundi, kirundi, ikirundi
ro ron rum mo mol: romanian, moldavian, moldovan, română
ru rus: russian, русский
rw kin: kinyarwanda, rwanda, ikinyarwanda
sa san: sanskrit, संस्कृत, संस्कृतम्
sc srd: sardinian, sardu
sd snd: sindhi, سنڌي
se sme: northern sami, davvisámegiella
sg sag: sango, sängö
si sin: sinhala, sinhalese, සිංහල
sk slk slo: slovak, slovenčina
sl slv: slovenian, slovenščina
sm smo: samoan
sn sna: shona, chishona
so som: somali, soomaali
sq sqi alb als: albanian, shqip
sr srp sh hbs scc: serbian, српски
ss ssw: swati
st sot: southern sotho, sotho, sesotho
su sun: sundanese, basa sunda, sunda
sv swe: swedish, svenska
sw swa swh: swahili, kiswahili
ta tam: tamil, தமிழ்
te tel: telugu, తెలుగు
tg tgk: tajik, тоҷикӣ
th tha: thai, ไทย
ti tir: tigrinya, ትግርኛ
tk tuk: turkmen, türkmen dili
tl tgl fil: tagalog, filipino
tn tsn: tswana, setswana
to ton: tonga, tongan, lea fakatonga
tr tur: turkish, türkçe
ts tso: tsonga
tt tat: tatar, татар
tw twi: twi
ty tah: tahitian
ug uig: uighur, uyghur, ئۇيغۇرچە
uk ukr: ukrainian, українська
ur urd: urdu, اردو
uz uzb uzn: uzbek, o‘zbek
ve ven: venda
vi vie: vietnamese, tiếng việt
vo vol: volapük
wa wln: walloon
wo wol: wolof
xh xho: xhosa, isixhosa
yi yid ydd ji: yiddish, ייִדיש
yo yor: yoruba, èdè yorùbá
za zha: zhuang, vahcuengh
zh zho chi cmn: chinese, mandarin, mandarin chinese, simplified chinese, traditional chinese, 中文, 汉语, 普通话, 國語
zu zul: zulu, isizulu
yue zh-yue: cantonese, 粵語, 廣東話
haw: hawaiian, ʻōlelo hawaiʻi
ceb: cebuano
ast: asturian, asturianu
ckb: central kurdish, sorani, کوردیی ناوەندی
wuu: wu chinese, shanghainese
nan: min nan, hokkien, taiwanese
hak: hakka
"""
"""A language a line: its code, other codes of it, and after the colon its names."""


def language_names() -> frozenset[str]:
    """Every code and name that is known, as `_plain` writes it."""
    return frozenset(_codes()) | _DETECTED - {""}


def language_code(language: str | None) -> str:
    """The code of a language: two letters where ISO 639-1 has one, "" where none is given or it is to be detected.

    "English", "eng", "en-US" and "en_US.UTF-8" are "en"; "cmn" and "zh-TW" are "zh", "pt-BR" is "pt", "iw" is "he",
    "Tiếng Việt" and "tieng viet" are "vi". A code of three letters that the table lacks is taken for one of ISO 639-3
    and returned as it is.
    Raises `ConfigError` for anything else.
    """
    name = _without_encoding(language or "")
    code = "" if name in _DETECTED else _code(name)
    if code is None:
        close = get_close_matches(name[:100], _codes(), n=1, cutoff=0.8)
        meant = f"; did you mean {close[0]} ({_codes()[close[0]]})?" if close else ""
        raise ConfigError(
            f"found language {str(language)[:100]!r}, wanted a code such as en, pt-BR or deu, or a name such as German "
            f"or Deutsch{meant}"
        )
    return code


def closest_code(language: str) -> str:
    """`language_code`, or for an unknown language its own name in lower case, without region."""
    try:
        return language_code(language)
    except ConfigError:
        return language.replace("_", "-").split("-")[0].strip().lower()


def code_among(language: str, codes: Iterable[str]) -> str | None:
    """The one of a model's `codes` that means this language, None if there is none: "jw" for "jv" among Whisper's."""
    wanted = closest_code(language)
    return next((code for code in codes if closest_code(code) == wanted), None)


def knows(codes: Collection[str], language: str) -> bool:
    """True unless a model lists its `codes` and this language is not among them; "" is to be detected."""
    return not codes or not closest_code(language) or code_among(language, codes) is not None


def _without_encoding(language: str) -> str:
    """Plain, one kind of separator, without what POSIX puts behind ("en_US.UTF-8", "sr_RS@latin")."""
    name = " ".join(_plain(language.split("(")[0]).split())
    return name.split(".")[0].split("@")[0].replace("_", "-")


def _plain(name: str) -> str:
    """Lower case without marks and apostrophes, which not every keyboard has: "tieng viet" for "Tiếng Việt"."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in letters if unicodedata.category(c) != "Mn" and c not in "'‘’ʻ")


def _code(name: str) -> str | None:
    """The code of a plain name; None if unknown. A longer match goes first: "zh-yue" is not "zh"."""
    codes, subtags = _codes(), name.split("-")
    for length in (len(subtags), 2, 1):
        written, rest = "-".join(subtags[:length]), subtags[length:]
        if written in codes and all(map(_is_subtag, rest)):
            return codes[written]
    is_code = len(subtags[0]) == 3 and subtags[0].isascii() and subtags[0].isalpha()
    return subtags[0] if is_code and all(map(_is_subtag, subtags[1:])) else None


def _is_subtag(part: str) -> bool:
    """Script, region or variant of BCP 47, in form."""
    return part.isascii() and part.isalnum() and len(part) <= 8


@cache
def _codes() -> dict[str, str]:
    """Every code and every name, plain -> the code."""
    codes: dict[str, str] = {}
    for line in _TABLE.strip().split("\n"):
        written, names = line.split(": ")
        code, *others = written.split()
        codes |= dict.fromkeys([code, *others, *map(_plain, names.split(", "))], code)
    return codes
