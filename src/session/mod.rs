//! Sessions: ids, passwords, deadlines in Apache's tick buckets. Pure.
