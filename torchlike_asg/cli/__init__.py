"""The main job, ``python -m torchlike_asg``: a character transformer learns a real text. Written as a user's script would be."""
