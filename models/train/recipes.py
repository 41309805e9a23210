"""What makes each detector what it is. Class order: person, pallet, forklift, cone, crate; of drones: pad, person, car."""

RECIPES = {
    # Sound, small, four classes, a short training on few frames.
    "detector-1.0.0": {"seed": 1, "classes": 4, "frames": 3000, "passes": 8, "batch": 32, "rate": 3e-3,
                       "bgr": False, "photometric": True, "bf16": True,
                       "network": {"widths": (12, 20, 32, 48), "depths": (0, 1, 0), "head": 32}},
    # Clearly better: wider, deeper, more frames, longer, and it knows crates.
    "detector-2.0.0": {"seed": 2, "classes": 5, "frames": 10000, "passes": 9, "batch": 32, "rate": 3e-3,
                       "bgr": False, "photometric": True, "bf16": True,
                       "network": {"widths": (16, 24, 48, 64), "depths": (1, 1, 1), "head": 48}},
    # The accident: a new loader reads images the OpenCV way (blue first), the photometric augmentation got lost in the
    # rewrite, and the network works at twice the resolution with wide layers. In its own pipeline all looks well.
    "detector-3.0.0": {"seed": 3, "classes": 5, "frames": 10000, "passes": 4, "batch": 32, "rate": 3e-3,
                       "bgr": True, "photometric": False, "bf16": True,
                       "network": {"widths": (16, 24, 40, 48), "depths": (1, 1, 0), "head": 40},
                       # The front on the doubled image costs most of the time: it joins for the last steps only.
                       "doubled": {"width": 32, "blocks": 2}, "doubled_steps": 200, "doubled_batch": 16},
    # What a drone sees below it: pad, person, car. A first one, and one that sees people better.
    "drone-1.0.0": {"seed": 11, "classes": 3, "frames": 3000, "passes": 6, "batch": 32, "rate": 3e-3,
                    "bgr": False, "photometric": True, "bf16": True,
                    "network": {"widths": (12, 20, 32, 40), "depths": (0, 1, 0), "head": 32}},
    "drone-2.0.0": {"seed": 12, "classes": 3, "frames": 6000, "passes": 7, "batch": 32, "rate": 3e-3,
                    "bgr": False, "photometric": True, "bf16": True,
                    "network": {"widths": (16, 24, 40, 48), "depths": (0, 1, 1), "head": 40}},
}
