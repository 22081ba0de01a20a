//! The one stream of events that every reporter reads.
