//! zoo.cfg and `-D` words to a `Config`. Pure: takes text, gives values and findings.
