"""Models of sequences in the manner of public scripts, each a function of the library that returns the numbers a reader would look at.

No attention here has a bias in its keys: softmax does not notice what it adds, so its gradient is nothing but rounding, which Adam
scales up to steps of full size. PyTorch does not reproduce such weights itself when it uses other vector instructions.
"""

import math

import numpy as np

from .patterns import weights


def seq2seq_with_assignment(T):
    """A decoder whose outputs are written into a tensor step by step, and differentiated through it; teacher forcing by a coin."""
    nn, F = T.nn, T.nn.functional

    class Attention(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.attn = nn.Linear(2 * size, size)

        def forward(self, state, outputs):
            energy = T.zeros(outputs.size(0))
            query = self.attn(T.cat((state.expand(outputs.size(0), -1), outputs), 1))
            for i in range(outputs.size(0)):
                energy[i] = query[i] @ outputs[i]
            return F.softmax(energy, dim=0)

    embed, attention = nn.Embedding(11, 8), Attention(8)
    encoder, decoder, out = nn.GRU(8, 8), nn.GRUCell(16, 8), nn.Linear(8, 11)
    parts = nn.ModuleList([embed, attention, encoder, decoder, out])
    optimizer = T.optim.SGD(parts.parameters(), lr=0.3)
    coin = np.random.default_rng(0)
    losses = []
    for _ in range(6):
        source, target = T.randint(0, 11, (5,)), T.randint(0, 11, (4,))
        states, hidden = encoder(embed(source).unsqueeze(1))
        states, state = states.squeeze(1), hidden[0]
        logits = T.zeros(len(target), 11)
        word = T.tensor([0])
        forced = coin.random() < 0.5
        for t in range(len(target)):
            weight = attention(state, states)
            context = weight.unsqueeze(0) @ states
            state = decoder(T.cat((embed(word), context), 1), state)
            logits[t] = out(state)[0]
            word = target[t : t + 1] if forced else logits[t].argmax().view(1).detach()
        loss = F.cross_entropy(logits, target)
        optimizer.zero_grad()
        loss.backward()
        T.nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses, weights(parts)


def encoder_decoder_transformer(T):
    """Multi-head attention by hand, label smoothing by scatter_, a warm-up schedule, a copy task and greedy decoding."""
    nn, F = T.nn, T.nn.functional
    vocabulary, width, heads = 9, 16, 4

    def attend(q, k, v, mask):
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
        return scores.masked_fill(mask == 0, -1e9).softmax(-1) @ v

    class Heads(nn.Module):
        def __init__(self):
            super().__init__()
            self.linears = nn.ModuleList([nn.Linear(width, width, bias=i > 1) for i in range(4)])

        def forward(self, q, k, v, mask):
            n = q.size(0)
            q, k, v = (f(x).view(n, -1, heads, width // heads).transpose(1, 2) for f, x in zip(self.linears, (q, k, v)))  # noqa: B905
            joined = attend(q, k, v, mask.unsqueeze(1)).transpose(1, 2).contiguous().view(n, -1, width)
            return self.linears[-1](joined)

    class Layer(nn.Module):
        def __init__(self, cross):
            super().__init__()
            self.own, self.cross = Heads(), Heads() if cross else None
            self.norms = nn.ModuleList([nn.LayerNorm(width) for _ in range(3)])
            self.feed = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(0.1), nn.Linear(2 * width, width))

        def forward(self, x, mask, memory=None, memory_mask=None):
            y = self.norms[0](x)
            x = x + self.own(y, y, y, mask)
            if self.cross is not None:
                x = x + self.cross(self.norms[1](x), memory, memory, memory_mask)
            return x + self.feed(self.norms[2](x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.out = nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary)
            table = T.zeros(32, width)
            position = T.arange(0, 32).unsqueeze(1)
            rate = T.exp(T.arange(0, width, 2) * -(math.log(10000.0) / width))
            table[:, 0::2], table[:, 1::2] = T.sin(position * rate), T.cos(position * rate)
            self.register_buffer("table", table.unsqueeze(0))
            self.encoder, self.decoder = Layer(False), Layer(True)
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.xavier_uniform_(p)

        def place(self, x):
            return self.embed(x) * math.sqrt(width) + self.table[:, : x.size(1)].requires_grad_(False)

        def encode(self, x, mask):
            return self.encoder(self.place(x), mask)

        def decode(self, memory, memory_mask, y, mask):
            return F.log_softmax(self.out(self.decoder(self.place(y), mask, memory, memory_mask)), -1)

    def subsequent(n):
        return T.triu(T.ones(1, n, n), diagonal=1).type(T.uint8) == 0

    model = Model()
    optimizer = T.optim.Adam(model.parameters(), lr=0.5, betas=(0.9, 0.98), eps=1e-9)
    schedule = T.optim.lr_scheduler.LambdaLR(optimizer, lambda step: width**-0.5 * min(max(step, 1) ** -0.5, max(step, 1) * 20**-1.5))
    criterion = nn.KLDivLoss(reduction="sum")
    losses = []
    for _ in range(6):
        data = T.randint(1, vocabulary, (6, 7))
        data[:, 0] = 1
        mask = (data != 0).unsqueeze(-2)
        given, wanted = data[:, :-1], data[:, 1:]
        scores = model.decode(model.encode(data, mask), mask, given, subsequent(6)).reshape(-1, vocabulary)
        with T.no_grad():
            smooth = scores.data.clone()
            smooth.fill_(0.1 / (vocabulary - 2))
            smooth.scatter_(1, wanted.reshape(-1, 1), 0.9)
            smooth[:, 0] = 0
            padded = T.nonzero(wanted.reshape(-1) == 0)
            if padded.dim() > 0 and len(padded) > 0:
                smooth.index_fill_(0, padded.squeeze(), 0.0)
        loss = criterion(scores, smooth) / wanted.numel()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        losses.append(loss.item())
    model.eval()
    source = T.arange(1, 8).unsqueeze(0)
    memory, written = model.encode(source, T.ones(1, 1, 7)), T.ones(1, 1).type_as(source.data)
    for _ in range(4):
        word = model.decode(memory, T.ones(1, 1, 7), written, subsequent(written.size(1)))[:, -1].argmax(1).item()
        written = T.cat([written, T.ones(1, 1).type_as(source.data).fill_(word)], dim=1)
    return losses, optimizer.param_groups[0]["lr"], written.tolist(), weights(model)


def language_model_that_writes(T):
    """Causal attention with a registered mask, tied weights, decay groups, clipping; then sampling with a growing context and top-k."""
    nn, F = T.nn, T.nn.functional
    vocabulary, block, width, heads = 13, 8, 16, 2

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
            self.attn, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
            self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), nn.Dropout(0.1))
            self.register_buffer("tril", T.tril(T.ones(block, block)).view(1, 1, block, block))

        def forward(self, x):
            n, t, _ = x.shape
            q, k, v = (z.view(n, t, heads, width // heads).transpose(1, 2) for z in self.attn(self.ln_1(x)).split(width, dim=2))
            scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            scores = scores.masked_fill(self.tril[:, :, :t, :t] == 0, float("-inf"))
            y = (F.softmax(scores, dim=-1) @ v).transpose(1, 2).contiguous().view(n, t, width)
            x = x + self.proj(y)
            return x + self.mlp(self.ln_2(x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.transformer = nn.ModuleDict(
                dict(
                    wte=nn.Embedding(vocabulary, width),
                    wpe=nn.Embedding(block, width),
                    h=nn.ModuleList([Block() for _ in range(2)]),
                    ln_f=nn.LayerNorm(width),
                )
            )
            self.lm_head = nn.Linear(width, vocabulary, bias=False)
            self.transformer.wte.weight = self.lm_head.weight
            for name, p in self.named_parameters():
                if p.dim() > 1:
                    nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(4) if name.endswith("proj.weight") else 0.02)

        def forward(self, idx, targets=None):
            x = self.transformer.wte(idx) + self.transformer.wpe(T.arange(idx.size(1), device=idx.device))
            for layer in self.transformer.h:
                x = layer(x)
            x = self.transformer.ln_f(x)
            if targets is None:
                return self.lm_head(x[:, [-1], :]), None
            logits = self.lm_head(x)
            return logits, F.cross_entropy(logits.view(-1, vocabulary), targets.view(-1), ignore_index=-1)

    text = T.randint(0, vocabulary, (200,))
    model = Model()
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = T.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95))
    losses = []
    for i in range(5):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (i + 1) / 5
        for _ in range(2):
            starts = T.randint(len(text) - block, (4,))
            x = T.stack([text[s : s + block] for s in starts])
            y = T.stack([text[s + 1 : s + 1 + block] for s in starts])
            _, loss = model(x, y)
            (loss / 2).backward()
        T.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    model.eval()
    written = T.zeros((1, 1), dtype=T.long)
    with T.no_grad():
        for _ in range(10):
            logits = model(written[:, -block:])[0][:, -1, :] / 0.8
            kept, _ = T.topk(logits, min(5, logits.size(-1)))
            logits[logits < kept[:, [-1]]] = -float("Inf")
            written = T.cat((written, T.multinomial(F.softmax(logits, dim=-1), num_samples=1)), dim=1)
    return losses, written.tolist(), weights(model)


SEQUENCES = [seq2seq_with_assignment, encoder_decoder_transformer, language_model_that_writes]
