//! Harness and victims of the end-to-end tests.
