"""Every write, one room a subject; functions are keyword-only and atomic, and log what they did.

A study
    studies (made, launched, closed), study_changes (edited), study_copies (cloned, deleted),
    study_files (from one TOML file), launch (the launch list), members, audit and notes (its log),
    states (what its state allows)
What it is about
    datasets, explanations; imports_of_files, explanation_files; files (they follow
    transactions)
What is rated, by whom
    sampling (at the launch), rounds, round_plan, round_types (further rounds), samples, gold_plan
    (items and tasks); assignments (leases), ratings (answers)
A rater's way
    arrivals, places, eligibility, raters (consent to completion code), training, attention
Whom to believe
    quality (the policy), gold, gold_suggestions, reviews (the software asks), decisions (a person
    answers), exclusions, deletions (on a rater's request)
Panels and money
    recruitments, credentials, prolific, prolific_draft, prolific_states (pause, resume, stop),
    prolific_submissions, panel_claims (one action at a time), bonuses, submissions (what the panel
    says), panel_events (webhooks); ledger (entries and cap), commitments (places), payments
Estimates
    estimates (runs), scoring (one run), freshness (asked for anew)
Old ratings
    import_plan, imports
Background and safety
    jobs (the queue), sweeps (chores), locks, idempotency, throttles, tokens, encryption_keys
"""
