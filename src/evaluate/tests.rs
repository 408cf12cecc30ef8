//! The numbers of sed_eval and sed_scores_eval, which `benches/hearing/golden.py` writes, and what holds for any events.

mod golden;
mod invariants;
