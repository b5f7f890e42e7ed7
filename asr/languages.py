"""Names and codes of languages -> one code for each, wherever a language is given.

The table has ISO 639-1, the codes of ISO 639-2 and 639-3 for the same languages, the codes that these have replaced,
and English names. Whisper's own code of Javanese, ``jw``, is one of the replaced ones.
"""

from collections.abc import Collection, Iterable
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
am amh: amharic
an arg: aragonese
ar ara arb arz apc ajp ary acm aeb ars afb: arabic
as asm: assamese
av ava: avaric
ay aym: aymara
az aze azj azb: azerbaijani
ba bak: bashkir
be bel: belarusian, belarussian
bg bul: bulgarian
bi bis: bislama
bm bam: bambara
bn ben: bengali, bangla
bo bod tib: tibetan
br bre: breton
bs bos: bosnian
ca cat: catalan, valencian
ce che: chechen
ch cha: chamorro
co cos: corsican
cr cre: cree
cs ces cze: czech
cu chu: church slavic, church slavonic
cv chv: chuvash
cy cym wel: welsh
da dan: danish
de deu ger: german
dv div: divehi, dhivehi, maldivian
dz dzo: dzongkha
ee ewe: ewe
el ell gre: greek
en eng: english, american english, british english
eo epo: esperanto
es spa: spanish, castilian
et est ekk: estonian
eu eus baq: basque
fa fas per pes prs: persian, farsi
ff ful fuc fuv: fulah, fula, fulani
fi fin: finnish
fj fij: fijian
fo fao: faroese
fr fra fre: french
fy fry: western frisian, frisian, west frisian
ga gle: irish
gd gla: scottish gaelic, gaelic, scots gaelic
gl glg: galician
gn grn gug: guarani, guaraní
gu guj: gujarati
gv glv: manx
ha hau: hausa
he heb iw: hebrew
hi hin: hindi
ho hmo: hiri motu
hr hrv scr: croatian
ht hat: haitian, haitian creole
hu hun: hungarian
hy hye arm: armenian
hz her: herero
ia ina: interlingua
id ind in: indonesian
ie ile: interlingue
ig ibo: igbo
ii iii: sichuan yi
ik ipk: inupiaq
io ido: ido
is isl ice: icelandic
it ita: italian
iu iku: inuktitut
ja jpn: japanese
jv jav jw: javanese
ka kat geo: georgian
kg kon: kongo
ki kik: kikuyu
kj kua: kuanyama
kk kaz: kazakh
kl kal: kalaallisut, greenlandic
km khm: khmer, cambodian
kn kan: kannada
ko kor: korean
kr kau: kanuri
ks kas: kashmiri
ku kur kmr: kurdish
kv kom: komi
kw cor: cornish
ky kir: kirghiz, kyrgyz
la lat: latin
lb ltz: luxembourgish, letzeburgesch
lg lug: ganda, luganda
li lim: limburgan, limburgish
ln lin: lingala
lo lao: lao, laotian
lt lit: lithuanian
lu lub: luba-katanga
lv lav lvs: latvian
mg mlg plt: malagasy
mh mah: marshallese
mi mri mao: maori, māori
mk mkd mac: macedonian
ml mal: malayalam
mn mon khk: mongolian
mr mar: marathi
ms msa may zsm zlm: malay
mt mlt: maltese
my mya bur: burmese, myanmar
na nau: nauru
nd nde: north ndebele
ne nep npi: nepali
ng ndo: ndonga
nl nld dut: dutch, flemish
nn nno: norwegian nynorsk, nynorsk
no nor nb nob: norwegian, norwegian bokmål, bokmål
nr nbl: south ndebele
nv nav: navajo, navaho
ny nya: chichewa, chewa, nyanja
oc oci: occitan
oj oji: ojibwa
om orm gaz: oromo
or ori ory: oriya, odia
os oss: ossetian, ossetic
pa pan: panjabi, punjabi
pi pli: pali
pl pol: polish
ps pus pbt pbu: pushto, pashto
pt por: portuguese, brazilian portuguese
qu que quz quy: quechua
rm roh: romansh
rn run: rundi, kirundi
ro ron rum mo mol: romanian, moldavian, moldovan
ru rus: russian
rw kin: kinyarwanda, rwanda
sa san: sanskrit
sc srd: sardinian
sd snd: sindhi
se sme: northern sami
sg sag: sango
si sin: sinhala, sinhalese
sk slk slo: slovak
sl slv: slovenian
sm smo: samoan
sn sna: shona
so som: somali
sq sqi alb als: albanian
sr srp sh hbs scc: serbian
ss ssw: swati
st sot: southern sotho, sotho
su sun: sundanese
sv swe: swedish
sw swa swh: swahili
ta tam: tamil
te tel: telugu
tg tgk: tajik
th tha: thai
ti tir: tigrinya
tk tuk: turkmen
tl tgl fil: tagalog, filipino
tn tsn: tswana
to ton: tonga, tongan
tr tur: turkish
ts tso: tsonga
tt tat: tatar
tw twi: twi
ty tah: tahitian
ug uig: uighur, uyghur
uk ukr: ukrainian
ur urd: urdu
uz uzb uzn: uzbek
ve ven: venda
vi vie: vietnamese
vo vol: volapük
wa wln: walloon
wo wol: wolof
xh xho: xhosa, isixhosa
yi yid ydd ji: yiddish
yo yor: yoruba
za zha: zhuang
zh zho chi cmn: chinese, mandarin, mandarin chinese, simplified chinese, traditional chinese
zu zul: zulu, isizulu
yue zh-yue: cantonese
haw: hawaiian
ceb: cebuano
ast: asturian
ckb: central kurdish, sorani
wuu: wu chinese, shanghainese
nan: min nan, hokkien, taiwanese
hak: hakka
"""
"""A language a line: its code, other codes of it, and after the colon its English names."""


def language_names() -> frozenset[str]:
    """Every code and name that is known, in lower case."""
    return frozenset(_codes()) | _DETECTED - {""}


def language_code(language: str | None) -> str:
    """The code of a language: two letters where ISO 639-1 has one, "" where none is given or it is to be detected.

    "English", "eng", "en-US" and "en_US.UTF-8" are "en"; "cmn" and "zh-TW" are "zh", "pt-BR" is "pt", "iw" is "he". A
    code of three letters that the table lacks is taken for one of ISO 639-3 and returned as it is.
    Raises `ConfigError` for anything else.
    """
    name = _without_encoding(language or "")
    code = "" if name in _DETECTED else _code(name)
    if code is None:
        raise ConfigError(
            f"found language {str(language)[:100]!r}, wanted a code such as en, pt-BR or deu, or an English name "
            "such as German"
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
    """Lower case, one kind of separator, without what POSIX puts behind ("en_US.UTF-8", "sr_RS@latin")."""
    name = " ".join(language.split("(")[0].split()).lower()
    return name.split(".")[0].split("@")[0].replace("_", "-")


def _code(name: str) -> str | None:
    """The code of a name in lower case; None if unknown. A longer match goes first: "zh-yue" is not "zh"."""
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
    """Every code and every name, in lower case -> the code."""
    codes: dict[str, str] = {}
    for line in _TABLE.strip().split("\n"):
        written, names = line.split(": ")
        code, *others = written.split()
        codes |= dict.fromkeys([code, *others, *names.split(", ")], code)
    return codes
