//! Flags that commands share.
