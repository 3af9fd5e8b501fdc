//! Newtypes that give every number its meaning: zxids, epochs, sessions, instants, paths. Pure.
