"""The demo study: the whole job on scikit-learn's handwritten digits, nothing downloaded.

``python -m demo`` runs it; a module is a stage: ``digits`` (probe dataset, concepts and their
truth), ``network`` (the model whose neurons are explained), ``study`` (everything into the
database), ``raters`` (simulated raters, through the web app), ``outputs`` (report and exports).
"""
