"""``torch.backends.xnnpack`` for scripts that ask: XNNPACK."""

#: whether products on mobile processors are its
enabled = False
