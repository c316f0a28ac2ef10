"""The web app: studies, tasks, raters, ratings and their estimates, in a database."""
