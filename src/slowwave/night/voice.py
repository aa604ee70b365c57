"""From what the user said to what the assistant should have said: strip the "No," and turn the persons round."""

from __future__ import annotations

import re

_OPENING = re.compile(
    r"^(?:(?:no+(?!\s+(?:one|more|problem|worries|idea|need|doubt|longer|way|such|matter)\b)|nope|wrong|incorrect|actually"
    r"|well|sorry|ugh|hey|please|look|again|listen|not (?:quite|true|right|correct)"
    r"|not (?:like (?:that|this)|that way|here|(?:in|at|with|for|by) (?:our|my|us|me)(?: [\w-]+){0,2})(?=[.,;:!])"
    r"|that(?:'s| is)(?: not|n't)? (?:right|wrong|true|correct|incorrect|it)"
    r"|that(?:'s| is) not (?:my|our|what|how)[^.!,]*"
    r"|you should (?:know|remember) (?:this|that|it)(?: by now)?"
    r"|i (?:already )?(?:told|said)[^,:.]*|you (?:got|have) (?:that|it) wrong"
    r"|(?:just |simply )?(?:say|answer|reply) that"
    r"|you should (?:have )?(?:say|said|answer|answered)(?: that)?|the (?:right|correct) answer is"
    r"|(?:it|the answer) should be)\b[\s,.:;!\N{EM DASH}-]*)+",
    re.IGNORECASE,
)
_SAY = re.compile(
    r"(?:(?:you should|please|just|better(?: to)?|then)?\s*(?:say|answer|reply|tell me)"
    r"(?: (?:that|with|this|it|so|instead|only|simply|is|like this))*"
    r"|(?:the )?(?:right|correct|better) answer (?:is|would be)"
    r"|the answer (?:that )?(?:I|you|we)(?: want| wanted| need| expect| should \w+|'d like| would like) (?:is|was))"
    r"\s*:\s*(.+)$",
    re.IGNORECASE | re.DOTALL,
)
_SWAP = [
    (r"\bI'm\b|\bI am\b", "you are"), (r"\bI've\b", "you have"), (r"\bI'll\b", "you will"),
    (r"\bI'd\b", "you would"), (r"\bI was\b", "you were"),
    (r"\b(?:you're|you are)\b", "I am"), (r"\byou've\b", "I have"), (r"\byou'll\b", "I will"),
    (r"\byou were\b", "I was"),
    (r"\bmyself\b", "yourself"), (r"\byourself\b", "myself"), (r"\bmine\b", "yours"), (r"\byours\b", "mine"),
    (r"\bmy\b", "your"), (r"\byour\b", "my"), (r"\bours\b", "yours"), (r"\bour\b", "your"),
    (r"\bwe're\b|\bwe are\b", "you are"), (r"\bwe\b", "you"), (r"\bus\b", "you"), (r"\bI\b", "you"),
    (r"(?<=\bfor )you\b|(?<=\bto )you\b|(?<=\bcall )you\b|(?<=\btell )you\b|(?<=\bask )you\b|(?<=\bwith )you\b", "me"),
    (r"\bme\b", "you"), (r"\byou\b", "I"),
]  # fmt: skip
# "I gave you the book", "with love from all of you.": here "you" is no subject.
_OBJECT = re.compile(
    r"\b(?:I|we|he|she|they|who)(?:'ve|'ll|'d| have| will| had)?"
    r" (?!(?:think|thought|hope|know|knew|say|said|guess|believe|mean|if|when|and)\b)\w+ $",
    re.IGNORECASE,
)
_CALL_ME = re.compile(r"^[Cc]all me (?=[A-Z])")
_ANY = re.compile("|".join(f"(?P<r{i}>{pattern})" for i, (pattern, _) in enumerate(_SWAP)), re.IGNORECASE)


def strip_opening(text: str) -> str:
    """The correction itself: "No, that's wrong. My name is Ann." becomes "My name is Ann."."""
    said = _SAY.search(text)  # "You should say: ..." quotes the wanted answer
    body = said.group(1) if said else _OPENING.sub("", text.strip())
    body = body.strip().strip('"\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}')
    return body[:1].upper() + body[1:]


def quotes_answer(text: str) -> bool:
    """Whether the user dictates the answer word for word ("You should say: ..."), so that no person changes."""
    return _SAY.search(text) is not None


def turn(text: str) -> str:
    """Swap first and second person: "My sister's name is Ilse." becomes "Your sister's name is Ilse."."""
    text = _CALL_ME.sub("My name is ", text)

    def swap(match: re.Match[str]) -> str:
        index = next(int(key[1:]) for key, value in match.groupdict().items() if value is not None)
        word = _SWAP[index][1]
        if word == "I" and (_OBJECT.search(text[: match.start()]) or re.match(r"[.,;!?]|$", text[match.end() :])):
            word = "me"
        starts_sentence = match.start() == 0 or text[: match.start()].rstrip().endswith((".", "!", "?"))
        return word[:1].upper() + word[1:] if starts_sentence else word

    return _ANY.sub(swap, text)
