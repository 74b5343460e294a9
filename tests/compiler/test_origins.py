"""What the compiler makes of a node says so, in every plan that shares an executable; gradients stand in the forward operation's module."""

import torchlike_asg as torch
from torchlike_asg import events, nn


def plans_of(steps):
    """The plans that training runs, with the values' nodes of the last step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    found = []
    stop = events.subscribe("plan_executed", lambda e: found.append(e.plan))
    try:
        for _ in range(steps):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(4, 6)), torch.tensor([0, 1, 2, 0])).backward()
            optimizer.step()
    finally:
        stop()
    return found


def test_every_computed_node_leads_to_a_recorded_one_of_its_own_plan():
    plans = [p for p in {id(p): p for p in plans_of(3)}.values() if p.executable.size]  # the first takes the initial values, without a step
    assert plans
    for plan in plans:
        recorded = {n.serial: n for n in plan.order}
        made_of = plan.recorded()
        assert made_of
        known = [recorded[s] for s in made_of.values() if s in recorded]
        assert len(known) >= 0.9 * len(made_of)
        names = {(m.op.name, n.op.name) for m, n in ((m, recorded[s]) for m, s in made_of.items() if s in recorded)}
        assert ("linear", "linear") in names
        assert any(made == "rsqrt" and source == "layer_norm" for made, source in names)  # a part of a composite


def test_gradients_stand_in_the_module_of_the_forward_operation():
    plan = plans_of(1)[-1]
    sites = {n.site[0] for n in plan.order if n.op.name == "gelu_grad" or "gelu" in n.op.name}
    assert sites == {"Sequential.2 (GELU)"}
