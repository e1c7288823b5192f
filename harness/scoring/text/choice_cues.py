"""What stands around a letter and says whether it is the choice: marks, verdicts, denials, corrections."""

from __future__ import annotations

import re

__all__ = [
    "ANSWER",
    "CHOSEN",
    "CLOSERS",
    "CONDITION",
    "CONSIDERED",
    "CORRECTION",
    "DENIED",
    "FINAL",
    "JUDGED",
    "NEGATED",
    "NOT_AN_OPTION",
    "NO_BLANKS",
    "PLAIN_AFTER",
    "PLAIN_BEFORE",
    "RULED_OUT",
    "VERDICT",
]

CLOSERS = r"[)\]}>*_`\"'”’»」』$]*"
NO_BLANKS = "\u0e00-\u0e4f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Letters of scripts that put an option into the sentence without blanks: Thai, kana, Han, Hangul."""
_NOUN = (
    r"(?:answer|choice|option|pick|selection|selected|letter|correct|antwort|wahl|réponse|respuesta"
    r"|risposta|resposta"
    r"|ответ|答案|答え|正解|解答|正确选项|正確選項|정답|답|คำตอบ|antwoord|keuze|svar|svaret|vastaus|odpowiedź|cevap"
    r"|jawaban|đáp án|opción|opção|opzione|απάντηση|الإجابة|उत्तर)"
)
_IS = (
    r"(?:\b(?:is|was|ist|est|es|é|è|är|er|on|to|adalah|là|είναι|(?:must|should|would|has to|will"
    r"|can only) be)(?:\s+(?:the|la|le|el|die))?"
    r"|هي|هو|ही|是|为|為|は|은|는|คือ|ที่ถูกต้องคือ)"
)
ANSWER = re.compile(
    rf"{_NOUN}(?:\s*(?:correcta|correcte|corretta|correta|choice|option|letter|الصحيحة"
    rf"|ที่ถูกต้อง))?[*_\"'”’]*\s*"
    rf"(?:(?:choice|option|letter)\s*)?(?:{_IS}(?:\s*[:：])?|[:：=—–-])\s*$",
    re.IGNORECASE,
)
FINAL = re.compile(r"(?:final|correct|best|right|richtige|correcta|bonne)\s+\S+$", re.IGNORECASE)
CHOSEN = re.compile(
    r"\b(?:I|we)(?:'d|’d| would| will|'ll|’ll)?\s+(?:still\s+)?(?:choose|pick|select|go with|say"
    r"|prefer|opt for|get)\s*$"
    r"|(?:\bleaves|\bleaving|\bleft with|\bremains)\s*$"
    r"|(?:选择?|選択?|选项|選項|選擇|ตอบ|ข้อ|ตัวเลือก|คือ|उत्तर|而是|ではなく|아니라|✓|✔|✅)\s*$",
    re.IGNORECASE,
)
JUDGED = re.compile(
    CLOSERS
    + r"(?:[.:)]?(?:\s+(?!is\b|are\b|or\b|and\b|but\b|not\b)[\w'’-]+){0,5}\s+(?:is|would be|must be|seems)\s+"
    r"(?:the\s+|clearly\s+|only\s+)*(?:correct|right|best|true|answer)\b(?!\s+at first)"
    r"|\s*(?:が正しい|が正解|が答え|を選|是正确|是正確|是对|正确|正確"
    r"|[가이] 정답|[를을] 선택|ถูกต้อง|✓|✔|✅))",
    re.IGNORECASE,
)
NEGATED = re.compile(
    r"(?:(?:\b(?:can)?not(?: be)?|n['’]t(?: be)?|\bnor|\bneither|\brather than|\binstead of|\bexcept"
    r"|\bunlike|"
    r"\bnever)\s*(?:the\s+)?(?:answer|option|choice)?|不是|❌|✗|✘)\s*$",
    re.IGNORECASE,
)
DENIED = re.compile(  # "A and C are both wrong", "B isn't right"
    CLOSERS + r"(?:\s*(?:,|/|&|\bor\b|\band\b)\s*[\[(*_`\"'“‘]*[A-Z](?!\w)" + CLOSERS + r")*"
    r"(?:\s+(?:(?:is|are|was|were|ca|could|would|does|do)n['’]t\b"
    r"|(?:is|are|was|were|can|could|would|does|do)\s*not\b"
    r"|(?:is|are|was|were|must be|seems?)\s+(?:(?:all|also|both|clearly|simply)\s+)*"
    r"(?:false|excluded|implausible|impossible|incorrect|out|wrong|tempting|a distractor|a trap"
    r"|(?:right )?at first)\b"
    r"|would (?!be (?:the|correct|right|best|my)\b)|seems right at first)"
    r"|\s*(?:ではな|じゃな|[가이] 아니|不对|不對|是错|是錯|不正确|✗|✘|❌))",
    re.IGNORECASE,
)
CONSIDERED = re.compile(  # somebody else's choice, or one under a condition, up to the letter in its sentence
    r"(?:\b(?:you|many|some|most|people|others|one)\b[^.;!?\n]{0,25}\b(?:think|say|pick|choose"
    r"|select|believe|guess|expect|argue)\b"
    r"|\b(?:at first|initially)\b|\b(?:was|were) going to\b|\bit would be\b"
    r"|\bif\b[^.;!?\n]{0,40},\s*|\bcould be\b)"
    r"(?:(?!\b(?:but|so|yet|however|although|though|then)\b)[^.;!?\n]){0,40}$",
    re.IGNORECASE,
)
CONDITION = re.compile(CLOSERS + r"\s+if\b", re.IGNORECASE)
RULED_OUT = re.compile(
    r"\b(?:eliminat\w+|rul(?:e|ed|ing) out|exclud\w+|discard\w*|between)\s+(?:options?\s+)?"
    r"(?:[A-Z][,\s]*(?:(?:and|or)\s+)?){0,5}$",
    re.IGNORECASE,
)
CORRECTION = re.compile(
    r"\bwait\b|\bhmm+\b|\?\s*no\b|\bno\s*[,:.—-]|\bactually\b|\bcorrection\b|\bcorrect myself\b"
    r"|\bon (?:second thought|reflection)\b"
    r"|\bscratch that\b|\bthat(?:'s|’s| is) (?:wrong|not right)\b|\b(?:they(?:'re|’re"
    r"| are) )(?:wrong|mistaken)\b"
    r"|\bbut (?:it|the|I)\b|\bhowever\b",
    re.IGNORECASE,
)
VERDICT = re.compile(
    r"^[^\w\n]{0,20}(?P<letter>[A-Za-z])[ \t]{0,5}[).:\]-]{1,5}[^\n]{0,300}?"
    r"(?:(?P<right>\b(?:correct|right|true|yes)\b|[✓✔✅])"
    r"|(?P<wrong>\b(?:wrong|incorrect|false|no)\b|[✗✘❌]))[^\w\n]{0,20}$",
    re.IGNORECASE | re.MULTILINE,
)
NOT_AN_OPTION = re.compile(
    r"(?<!\w)[A-Z](?:\+\+|#)|(?<!\w)[A-Z](?=['’][A-Z])|\b(?:[A-Z]\.){2,}|\be\.g\.", re.IGNORECASE
)
PLAIN_BEFORE = re.compile(
    r"(?:^|[^\w\s'’-]\s*|\bbut\s*|[\n]\s*|\b(?:is|it['’]s|be|say|think|believe|guess|so|thus|hence"
    r"|therefore|with|and|or|to|pick|choose|select|get|leaves|both"
    r"|either|neither|answer|option|choice|letter|only|just|then|not)\s*)$",
    re.IGNORECASE,
)
PLAIN_AFTER = re.compile(
    CLOSERS + r"(?:\s*$|\s*[^\w\s]|\s*\n"
    r"|\s+(?:is|because|since|as|rather|instead|over|must|seems|and|or|but|option|it|[A-Z]\b))",
)
