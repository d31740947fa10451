"""What a physical system is declared with: priors, parameters, laws, data, likelihood, model, experiment."""
