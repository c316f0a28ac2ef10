"""The common base of this package's errors: the command line shows them without a traceback."""


class NeuronEvalError(ValueError):
    """Something that was given cannot be used; the message names it and says what to do."""
