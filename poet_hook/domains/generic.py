"""The words that every field shares, how a text is brought to them, and the domain that adds nothing to them.

English only. `PHRASES` are written in the vocabulary that `tokens` leads to: "alarms", "page" and "catch" are all
"alert", and there are no articles.
"""

from __future__ import annotations

import re
from typing import Any

from poet_hook.domains.base import Domain


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


CANONICAL = {
    word: head
    for head, words in {
        "alert": """alerts alarm alarms alarming alerting warn warning warnings page pages paging flag flags
            flagging notify notifying notification notifications fire fires firing trigger triggers triggering detect
            detects detecting catch catches catching wake waking""",
        "alerted": "alarmed warned paged flagged fired triggered detected caught woken woke",
        "ignore": "mute silence snooze",
        "anomaly": """anomalies anomalous abnormal outlier outliers incident incidents outage outages spike spikes
            drift drifts""",
        "issue": "issues",
        "problem": "problems",
        "positive": "positives",
        "negative": "negatives",
        "not": "never",
        "must": "ought",
        "legit": "legitimate",
        "behavior": "behaviour",
        "miss": "misses",
        "but": "however although though whereas",
    }.items()
    for word in words.split()
}
DROPPED = _set("a an the really actually very quite so pretty bit little rather still also again much far")
# Dropped, but after "not" they leave open how much is denied: then they become "fully".
EXTENT = _set(
    """definitely clearly certainly obviously totally completely absolutely entirely fully exactly necessarily"""
)
SPLITTERS = _set("because since and given considering due but")
NEGATORS = _set("not no nothing nobody none zero without")
# How sure one is at most who says this.
HEDGES = {
    **dict.fromkeys(_set("maybe perhaps possibly might may could usually often sometimes kinda somewhat"), 0.45),
    **dict.fromkeys(_set("probably likely think believe guess suspect apparently presumably seems seem"), 0.6),
}
# What breaks: a sentence about it says that something was wrong, whatever else it says.
BROKEN = _set(
    """down dead died dying dies failed failing crashed crashing broke broken breaking full lost losing burning offline
    unreachable unavailable stuck hung corrupted corrupt exploded leaking gone"""
)
# What is meant to break now and then, or says nothing of what is watched.
INTENDED = _set(
    """planned scheduled intended intentional announced purpose maintenance upgrade upgrading drill test tests testing
    sensor sensors collector exporter probe agent metric metrics dashboard scrape monitor other another"""
)
REVERSED = _set(
    "opposite outside beyond exceeds exceeded wrongly mistakenly mistaken until dismissed treated overran ended"
)
CONDITIONAL = _set("if unless whether would thought neither nor hardly barely almost nearly partly partially half")
ELSEWHERE = _set(
    """says said saying claims claimed told better worse fewer less reduce reduced reduces fixed fix avoid avoided
    prevent prevented disagree agree"""
)
FOREIGN = _set(
    """nicht kein keine keiner nein das ist pas une oui niet geen het een nao não non es un una fue que por nessun
    nessuna il inte ingen ikke nem nie jest bukan tidak
    falsch richtig faux vrai correcto incorrecto sbagliato"""
)
KNOWN = (
    NEGATORS
    | HEDGES.keys()
    | _set(
        """i me my we our you your it its this that these those there here he she they one ones is am are was were
        be been being do does did done has have had can will shall to of in on at as with about from for than any
        what which who how why then now please thanks thank sorry well hmm oh hey hi
        hello lol meh huh ugh wow later some something other another
        look looks looked like feel call called say see saw get got think times time today yesterday again
        anything alert alerted anomaly event result results value values output answer answers prediction
        predictions predicted estimate estimates forecast forecasts number score model detector detection system
        monitor monitoring decision classification label verdict response price but job work case way all always
        just only merely simply confirmed"""
    )
)
REWRITES = (
    ("gone off", "alerted"),
    ("went off", "alerted"),
    ("go off", "alert"),
    ("picked up", "alerted"),
    ("false pos", "false positive"),
    ("false neg", "false negative"),
    ("fp", "false positive"),
    ("fn", "false negative"),
    ("tp", "true positive"),
    ("tn", "true negative"),
    ("alert me up", "alert me"),
    ("alerted me up", "alerted me"),
    ("alerted up", "alerted"),
    ("i would say", "i think"),
    ("i would call", "i think"),
    ("non issue", "not issue"),
    ("non event", "nothing happened"),
)

_SHOULD = "(?:should|must|supposed to|needed to)"
_ALERT = "alert(?:ed)?"
_THIS = "(?:this|it|that|one|these|those|them|alert|anomaly|event)"
_WHO = "(?:it|you|this|that|system|detector|model|monitor)"
# (meaning, firm, alternatives). The first that matches wins: the long before the short.
PHRASES: tuple[tuple[str, bool, tuple[str, ...]], ...] = (
    (
        "aside",
        False,
        (
            "no (?:doubt|question|wonder|worries|thanks|matter)",
            "without doubt",
            "(?:(?:false|true) (?:positive|negative|alert)|miss|alert) (?:rate|rates|ratio|count)",
            "right (?:now|away|after|before|when|at|in|on|there|here|where|side|hand)",
            "too bad",
            "(?:good|bad) (?:news|luck|morning|evening|day|night|timing|question|idea)",
            "(?:good|great|nice) that(?! (?:one|alert|alerted|it|you|this)(?: |$))",
        ),
    ),
    (
        "vague",
        False,
        (
            "no (?:issue|problem|anomaly) with",
            "(?:not|no) problem",
            "nothing (?:is )?wrong(?! with)",
            "(?:all|everything) (?:is )?(?:good|ok|okay|right|fine|clear|normal|healthy)",
        ),
    ),
    (
        "unclear",
        True,
        (
            "not (?:fully|all|always|just|only|merely|simply)",
            f"(?:i|we) (?:have |did |do |could |can )?not {_ALERT}",
            f"(?:(?:did|does|do) )?not {_ALERT} any(?:thing)?",
        ),
    ),
    ("doubtful", False, ("bad one",)),
    (
        "quiet",
        True,
        (
            "true negative",
            "(?:correctly|rightly) (?:stayed |kept |been )?(?:not alerted|silent|quiet|ignored)",
            "right not to alert",
            f"(?:good|great|nice|glad|thanks) (?:for |that )?(?:{_WHO} )?(?:(?:did|does|have) )?not (?:be )?{_ALERT}",
            f"(?:good|great|nice|glad) (?:that )?{_WHO} (?:stayed|kept|was) (?:quiet|silent)",
        ),
    ),
    (
        "undue",
        True,
        (
            f"no (?:need|reason) (?:to|for) (?:be )?{_ALERT}",
            "no alert (?:(?:was|is|are|were) )?(?:needed|necessary|required|warranted|justified|due)",
            "no(?: one| alert)? (?:was |is )?needed",
            "not worth(?: it)?(?: alert(?:ed)?)?",
            "nothing to see here",
            "no action (?:was |is )?(?:needed|required|taken)|not actionable",
            f"{_SHOULD} (?:stay|remain|keep|be) (?:silent|quiet|ignored|suppressed)",
        ),
    ),
    (
        "unsure",
        True,
        (
            "not (?:sure|certain|clear|convinced)",
            "unsure|uncertain|unclear|idk|dunno|doubt|doubtful|questionable|undecided|debatable",
            "(?:do|did) not know",
            "no (?:idea|clue)",
            "(?:hard to|can not) (?:say|tell|judge)",
        ),
    ),
    (
        "false_alarm",
        True,
        (
            "~false_alarm",
            "false (?:alert|positive|detection)",
            f"{_SHOULD} not (?:have|of) (?:been )?{_ALERT}",
            f"not (?:supposed|meant) to (?:have |be )?(?:been )?{_ALERT}",
            f"did not need to {_ALERT}",
            f"(?:no alert|nothing) {_SHOULD} have {_ALERT}",
            f"{_SHOULD} (?:have been|be) no alert",
            "(?:crying|cried|cry) wolf",
            f"{_ALERT}(?: {_THIS}| me| us| on| again| at| #| everyone| about)* (?:for|about) (?:nothing|no reason)",
            "(?:wrongly|incorrectly|falsely|mistakenly|needlessly) alerted",
        ),
    ),
    ("due", True, (f"{_SHOULD} (?:have|of) (?:been )?{_ALERT}",)),
    ("due", False, (f"{_SHOULD} (?:be )?{_ALERT}", f"needs? to (?:be )?{_ALERT}")),
    (
        "miss",
        True,
        (
            "~miss",
            "false negative",
            "(?:did|does) not alert",
            f"(?:fail|failed|fails) to {_ALERT}",
            "why (?:was |is |were )?(?:there )?no alert",
            f"why not alert|why did not {_WHO} alert",
            "undetected|unnoticed|uncaught",
            "slipped (?:through|past|by)",
            "flew under radar",
            f"{_WHO} (?:have |has )?(?:missed|overlooked) {_THIS}",
        ),
    ),
    (
        "normal",
        True,
        (
            "~normal",
            "nothing (?:has )?happened",
            "nothing (?:was |is )?(?:going on|unusual|anomaly)",
            "nothing (?:was|were) (?:wrong|broken)|nothing wrong with",
            "(?:all|everything) (?:was|were) (?:good|ok|okay|fine|clear|normal|healthy)",
            "(?:can|could|did|do) not (?:see|find) (?:anything|problem|issue|anomaly)(?: wrong| unusual| odd| broken)?",
            f"(?:{_THIS} |^)(?:was|is) nothing|turned out to be nothing|(?:was|is) not anything",
            "(?:no (?:issue|problem|anomaly|cause)|nothing) (?:was )?found",
        ),
    ),
    (
        "caught",
        True,
        (
            "true positive",
            "(?:good|nice|great|excellent|well|correctly|rightly) (?:alert|alerted)",
            "good one",
        ),
    ),
    (
        "right",
        True,
        ("~right", "spot on", "lgtm", "nailed it"),
    ),
    ("wrong", True, ("~wrong",)),
    ("too_high", True, ("~too_high",)),
    ("too_low", True, ("~too_low",)),
    ("setting", False, ("(?:threshold|sensitivity|limit|cutoff)(?: is| was| seems)? too (?:high|low)",)),
    (
        "false_alarm",
        False,
        (
            "~~false_alarm",
            "(?:too |just |only |pure )?(?:noise|noisy)",
            "(?:too|over) sensitive|oversensitive",
            "spurious|bogus|unnecessary|unwarranted|unjustified|needless",
            "too many (?:false )?alert",
            "(?:stop|do not) alert|stop (?:it|this)",
            "ignore(?: this| it| that)?(?: one| alert)?",
        ),
    ),
    (
        "miss",
        False,
        (
            "~~miss",
            f"(?:missed|miss|overlooked)(?: {_THIS})?",
            "not (?:get |been |have )?alerted",
            "(?:too )?insensitive|not sensitive enough|too lenient",
        ),
    ),
    ("undue", False, (f"{_SHOULD} not (?:be )?{_ALERT}",)),
    ("silent", False, ("no alert",)),
    (
        "normal",
        False,
        (
            "~~normal",
            "(?:no|not)(?: real| true| actual| genuine)? (?:anomaly|issue)",
            "(?:is |was )?(?:normal|healthy)(?: behavior)?",
        ),
    ),
    (
        "anomalous",
        False,
        (
            "(?:is|was|were|real|true|actual|genuine|confirmed|bad|major|serious) anomaly",
            "(?:real|genuine) (?:issue|problem)",
        ),
    ),
    (
        "caught",
        False,
        ("real(?! false)(?: alert| deal| thing)?", "legit|genuine|justified|warranted", "true alert"),
    ),
    ("timing", False, ("too (?:late|early|slow)", "late|delayed|duplicate|duplicated")),
    (
        "too_high",
        False,
        (
            "~~too_high",
            "too (?:high|big|large)",
            "over ?(?:estimated?|predicted|stated|shot)|overestimates|overshoots?",
            "should (?:be|have been) (?:lower|smaller|less)",
        ),
    ),
    (
        "too_low",
        False,
        (
            "~~too_low",
            "too (?:low|small)",
            "under ?(?:estimated?|predicted|stated|shot)|underestimates|undershoots?",
            "should (?:be|have been) (?:higher|larger|bigger|greater|more)",
        ),
    ),
    (
        "wrong",
        False,
        (
            "~~wrong",
            "wrong|wrongly|incorrect|incorrectly|bad|inaccurate|no good|nope|nah|terrible|awful|useless",
            "mistake|mistaken|nonsense|rubbish|garbage|poor|invalid|way off|misleading",
        ),
    ),
    (
        "right",
        False,
        (
            "~~right",
            "correct|correctly|right|accurate|^confirmed$|ok|okay",
            "works|working|valid|as it should|as expected",
        ),
    ),
    (
        "praise",
        False,
        (
            "well done|(?:good|nice|great) (?:job|work|call)",
            "perfect|perfectly|good|great|excellent|nice|awesome|helpful|useful",
            "wonderful|lovely|brilliant|fantastic|yay|love",
        ),
    ),
    ("no", False, ("^(?:but )?no(?= (?:it|this|that|you|i|we|wrong|bad|incorrect|sorry)(?: |$)|$)",)),
    ("yes", False, ("^(?:but )?(?:yes|yeah|yep|yup)",)),
)

# What people call a number in a function.
SETTINGS = _set("limit threshold cutoff sensitivity window cooldown tolerance margin factor")
# What a meaning becomes under a negation; where none is named, that is not clear.
DENIED = {
    "right": "wrong", "wrong": "right", "caught": "false_alarm", "false_alarm": "caught", "quiet": "miss",
    "miss": "right", "due": "undue", "normal": "anomalous", "anomalous": "normal", "timing": "aside",
    "praise": "wrong",
}  # fmt: skip

QUOTES = str.maketrans({**dict.fromkeys("\u2018\u2019\u02bc\u00b4", "'"), **dict.fromkeys("\u201c\u201d", '"')})
SYMBOLS = str.maketrans(
    {
        **dict.fromkeys("👍✅✔☑👌💯👏🎯✓", " ; correct ; "), **dict.fromkeys("👎❌✖🚫⛔✗✘", " ; incorrect ; "),
        **dict.fromkeys("🏻🏼🏽🏾🏿\ufe0f", ""), "❓": "?", "❔": "?", "_": " ",
    }
)  # fmt: skip
# Why a meaning can't be said of a result.
REFUSED = {
    "question": "it asks, it does not say",
    "unclear": "it is not clear what the negation denies",
    "unsure": "it says that it is not sure",
    "vague": "this may speak of the result or of the world",
    "timing": "it speaks of when, not of whether this result was right",
    "setting": "it speaks of a threshold, not of this result; say 'false alarm' or 'missed'",
    "too_high": "only a number can be too high; of a yes/no say 'false alarm' or 'missed'",
    "too_low": "only a number can be too low; of a yes/no say 'false alarm' or 'missed'",
    "normal": "it is not known what the result said; say 'right' or 'wrong'",
    "anomalous": "it is not known what the result said; say 'right' or 'wrong'",
    "undue": "it is not known what the result said; say 'right' or 'wrong'",
    "silent": "it says what the result said, and not whether that was right",
    "doubtful": "this may speak of the result or of the world",
}
# Refused alone, passed over beside another meaning.
SOFT = ("vague", "setting", "too_high", "too_low", "timing", "normal", "anomalous", "undue", "silent")
# What a meaning says of the world.
CLAIMS = {"false_alarm": False, "miss": True, "due": True, "normal": False, "anomalous": True, "undue": False}
# A text that names the right value, and says nothing after it that might change it.
_QUANTITY = r"[-+]?(?:\d{1,15}(?:,\d{3}){0,4}(?:\.\d{1,20})?|\.\d{1,20})(?:e[-+]?\d{1,3}|k(?!\w))?"
_NOUN = "(?:value|answer|result|output|label|one)"
STATED = re.compile(
    r"\b(?:should(?:'ve| have)? (?:be|been)|supposed to be|truth(?: is| was)?|actual (?:is|was)"
    rf"|(?:expected|correct|right|true|actual|real) {_NOUN}(?: (?:is|was|to be|should be|should have been))?"
    r"|expected(?: (?:is|was|to be))?)\s?[:=]?\s?(?P<about>about |around |roughly |approximately |~)?"
    rf"(?P<value>\"[^\"\n]{{1,200}}\"|'[^'\n]{{1,200}}'|`[^`\n]{{1,200}}`|{_QUANTITY}|true\b|false\b)"
    r"(?=$|[.,;!)](?:\s|$)|\s(?:not|but|instead|because|since)\b|\s[-–—])",
    re.IGNORECASE,
)
TOKEN = re.compile(r"\d(?:[\d.,]*\d)?%?(?!\w)|[\w']+|[.,;:!?()\[\]\n\r—–…]+|(?<=\s)-+(?=\s)")
WITHOUT_APOSTROPHE = {
    f"{stem}nt": stem for stem in _set("is are was were do does did has have had should would could ca wo")
}
IRREGULAR = {"ca": "can", "wo": "will", "sha": "shall"}
SUFFIXES = {"s": "is", "ve": "have", "re": "are", "m": "am", "d": "would"}


def _expand(word: str) -> tuple[str, ...]:
    """A word without its contraction: "isn't" and "isnt" are "is", "not"."""
    if word.endswith("n't"):
        return (IRREGULAR.get(word[:-3], word[:-3]), "not")
    if word in WITHOUT_APOSTROPHE:
        return (IRREGULAR.get(word[:-2], word[:-2]), "not")
    if word == "cannot":
        return ("can", "not")
    head, _, tail = word.partition("'")
    return (head, SUFFIXES[tail]) if tail in SUFFIXES else (head,)


def tokens(plain: str) -> list[str]:
    """A lower-case text in the vocabulary of `PHRASES`; "#" is a number, ";" ends a clause, "?" a question."""
    found: list[str] = []
    for match in TOKEN.finditer(plain):
        piece = match[0]
        if not (piece[0].isalnum() or piece[0] == "'"):
            found += ("?", ";") if "?" in piece else (";",)
            continue
        if piece[0].isdigit():
            found += () if piece == "100%" else ("#",)
            continue
        for word in _expand(piece.strip("'")):
            word = CANONICAL.get(word, word)
            if word in EXTENT and found and found[-1] == "not":
                found.append("fully")
            elif word in SPLITTERS:
                found += (";",) if word == "and" else (";", word)
            elif word and word not in DROPPED and word not in EXTENT:
                found.append(word)
    said = f" {' '.join(found)} "
    for spoken, written in REWRITES:
        said = said.replace(f" {spoken} ", f" {written} ")
    return said.split()


def doubt(words: list[str]) -> str:
    """Why a text (as tokens) can't be read by its phrases; "" where it can."""
    for word in words:
        if word in FOREIGN or (len(word) > 1 and any(char > "\u024f" and char.isalpha() for char in word)):
            return "the rules read English only"
        if word in CONDITIONAL:
            return f"it says so only with a condition or in part ({word!r})"
        if word in REVERSED:
            return f"the words around it may turn it into its opposite ({word!r})"
        if word in ELSEWHERE:
            return f"it may speak of other results or other people's words ({word!r})"
    return ""


def normalise(_kind: str, value: Any) -> Any:
    """The value itself."""
    return value


def violation(_result: Any) -> str | None:
    """None: any result will do."""
    return None


DOMAIN = Domain(name="generic", title="Any function", phrases=(), normalise=normalise, violation=violation)
