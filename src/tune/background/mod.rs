//! Thresholds from hours of ordinary background, of which nobody says what they hold: whatever is heard there is false.
