"""The phrases that every field shares, what they mean, and the domain that adds nothing to them.

They are written in the words that `vocabulary.tokens` leads to.
"""

from __future__ import annotations

import re
from typing import Any

from poet_hook.domains.base import Domain

_SHOULD = "(?:should|must|supposed to|needed to)"
_ALERT = "alert(?:ed)?"
_THIS = "(?:this|it|that|one|these|those|them|alert|anomaly|event)"
_RESULT = "(?:this |that |your )?(?:alert|result|answer|prediction|verdict|decision)"
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
            # who gives feedback speaks of themselves
            "(?:i|we) (?:was|were|am|are) (?:wrong|mistaken)|my (?:mistake|bad|fault|error)",
            "(?:good|bad) (?:news|luck|morning|evening|day|night|timing|question|idea)",
            "(?:good|great|nice) that(?! (?:one|alert|alerted|it|you|this)(?: |$))",
        ),
    ),
    (
        "vague",
        False,
        (
            "no (?:issue|problem|anomaly) with",
            f"nothing (?:is |was )?wrong with {_RESULT}",
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
            "(?:right|correct|fair|accurate|wrong) to (?:say|call)",
            f"(?:is |was )?normal (?:to|that) (?:{_WHO} )?(?:be )?{_ALERT}",
            "sorry (?:for|that i) (?:calling|called|said|saying)",
            "(?:i|we) (?:called|marked|labelled|labeled|tagged|reported|closed) (?:this|it|that)",
            "i (?:have )?(?:missed|overlooked)",
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
            "turned out (?:to be )?(?:real|genuine|legit|true)",
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


def normalise(_kind: str, value: Any) -> Any:
    """The value itself."""
    return value


def violation(_result: Any) -> str | None:
    """None: any result will do."""
    return None


DOMAIN = Domain(name="generic", title="Any function", phrases=(), normalise=normalise, violation=violation)
