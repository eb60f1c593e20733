"""The words that the phrases of every field are written in, and how a text is brought to them.

English only. "alarms", "page" and "catch" are all "alert", and there are no articles.
"""

from __future__ import annotations

import re


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
CONDITIONAL = _set(
    "if unless whether would thought neither nor hardly barely almost nearly partly partially half chance odds "
    "probability"
)
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
# What people call a number in a function.
SETTINGS = _set("limit threshold cutoff sensitivity window cooldown tolerance margin factor")
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
