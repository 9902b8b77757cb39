//! What commands write.
