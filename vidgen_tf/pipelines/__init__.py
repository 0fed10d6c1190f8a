"""A model of the zoo, or a prompt, in; clips out."""
