"""Each system behind the same few operations. A module imports its system and the standard library, nothing else."""
