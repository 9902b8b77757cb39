//! The installation on a real API server: its objects are accepted, each account works with nothing but its roles, and
//! the fence holds the operator's account.

mod accounts;
mod chart;
mod fence;
mod helm_upgrade;
mod objects;
mod uninstall;
