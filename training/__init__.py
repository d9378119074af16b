"""How the bundled small models are made: pictures, training, distillation, evaluation. Not imported by `scope`."""
