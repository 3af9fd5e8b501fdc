//! The tree against facts about Apache.

use super::*;

#[test]
fn a_fresh_tree_is_apaches() {
    let replica = Replica::new(TreeOptions::default());
    assert_eq!(replica.digest(), 1_371_985_504);
    assert_eq!(replica.node_count(), 5);
    assert_eq!(replica.approximate_data_size(), 44);
}
