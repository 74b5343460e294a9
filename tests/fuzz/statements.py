"""Statements of random training scripts: the table of them. Each looks at the variables there are and appends an operation on some."""

#: maker of statements -> how often it is chosen, in proportion
STATEMENTS = {}


def statement(weight):
    """Register a maker of statements, chosen in proportion to `weight`."""

    def register(make):
        STATEMENTS[make] = weight
        return make

    return register
