"""The ablation studies and controls that chapters show: recipes with a field replaced, several seeds."""
