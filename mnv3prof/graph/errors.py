"""The one error that a user's input raises, and how a message quotes that input."""


class InputError(ValueError):
    """What the user gave cannot be used; the message is one sentence that says what is allowed."""


def shown(value: object) -> str:
    """The value as an error message quotes it: short, whatever was given."""
    if type(value) is int and value.bit_length() > 100:
        return f"an integer of {value.bit_length():,} bits"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
