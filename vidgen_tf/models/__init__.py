"""Networks, losses, training steps and samplers, a file a family. They know no data, no metrics and no weights of the zoo."""
