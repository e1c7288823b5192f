"""Which tokens are trained: those of the assistant's turns, proved token by token.

`harness.train.chat_format` says where the turns lie in the text. Here the text is tokenised once, the tokens
inside a turn are labelled, and it is checked that they are the turn: none straddles its border, and together
they decode to its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.data.training_rows import TrainingExample
from harness.errors import TrainingDataError
from harness.train.chat_format import ChatFormat, Turn, clip

__all__ = ["IGNORED", "TokenizedRow", "tokenize_rows"]

IGNORED = -100
"""Label of a token that the loss leaves out; PyTorch's cross entropy ignores it."""

_BATCH = 512


@dataclass(frozen=True)
class TokenizedRow:
    """A row as the model sees it.

    Attributes:
        input_ids: Token ids.
        labels: The same ids where the loss is computed, `IGNORED` elsewhere.
        example: Where it comes from.
    """

    input_ids: tuple[int, ...]
    labels: tuple[int, ...]
    example: TrainingExample

    @property
    def trained_tokens(self) -> int:
        """How many tokens the loss is computed on."""
        return sum(label != IGNORED for label in self.labels)


def tokenize_rows(chat: ChatFormat, examples: Sequence[TrainingExample]) -> Iterator[TokenizedRow]:
    """Tokenise examples and label what is trained, in order.

    Raises:
        TrainingDataError: A template that cannot be masked, or a row without a single trained token.
    """
    for start in range(0, len(examples), _BATCH):
        batch = examples[start : start + _BATCH]
        rendered = [chat.turns(example) for example in batch]
        encoded = chat.tokenizer(
            [text for text, _ in rendered],
            add_special_tokens=False,  # the template writes them; a second BOS would be trained on
            return_offsets_mapping=True,
            return_attention_mask=False,
            truncation=False,
            padding=False,
        )
        for example, (text, turns), ids, offsets in zip(
            batch, rendered, encoded["input_ids"], encoded["offset_mapping"], strict=True
        ):
            _refuse_two_beginnings(chat, example, ids)
            labels = _labels(chat, example, text, turns, ids, offsets)
            if all(label == IGNORED for label in labels[1:]):
                raise TrainingDataError("has no token to train on", path=example.path, line=example.line)
            yield TokenizedRow(tuple(ids), tuple(labels), example)


def _refuse_two_beginnings(chat: ChatFormat, example: TrainingExample, ids: Sequence[int]) -> None:
    bos = chat.tokenizer.bos_token_id
    if bos is not None and list(ids[:2]) == [bos, bos]:
        raise chat.error(
            example, None, "its text begins with two BOS tokens: write bos_token once in the template"
        )


def _labels(
    chat: ChatFormat,
    example: TrainingExample,
    text: str,
    turns: Sequence[Turn],
    ids: Sequence[int],
    offsets: Sequence[Sequence[int]],
) -> list[int]:
    """Label the tokens of the turns and prove that they are the turns, whole and nothing else.

    Raises:
        TrainingDataError: A token straddles a turn's border, or a turn's tokens decode to other text.
    """
    labels = [IGNORED] * len(ids)
    position = 0
    for turn in turns:
        first = None
        while position < len(ids) and offsets[position][0] < turn.end:
            start, end = offsets[position]
            if end > turn.start:  # some tokenizers trim white space off their offsets, down to nothing
                if start < turn.start or end > turn.end:
                    token = chat.tokenizer.decode([ids[position]])
                    raise chat.error(
                        example,
                        turn,
                        f"the token {token!r} straddles the border of its text, so what is "
                        "trained would not be what is generated",
                    )
                labels[position] = ids[position]
                first = position if first is None else first
            position += 1
        decoded = "" if first is None else _decode(chat, ids[first:position])
        expected = text[turn.start : turn.end]
        if decoded != expected and decoded != expected.removeprefix(" "):
            raise chat.error(
                example,
                turn,
                f"its tokens decode to {clip(decoded)}, not to its text {clip(expected)}: "
                "the tokenizer cannot reproduce it",
            )
    return labels


def _decode(chat: ChatFormat, ids: Sequence[int]) -> str:
    text = chat.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    assert isinstance(text, str)
    return text
