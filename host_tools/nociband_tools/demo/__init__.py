"""The main job as one command: everything real that can run here, on a recorded person, held against the truth at the end."""
