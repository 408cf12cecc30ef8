//! The lock-free ring between a source and the analysis: samples, an exact account of what was dropped, and where.
//! (interface; to be filled)
