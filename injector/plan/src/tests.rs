//! Models of the filters: what a person means by them in plain words, against what the planner makes of them and the
//! programs decide.

mod calls;
mod look_ups;
mod packets;
