//! What is deleted because it is over.

use super::*;

#[tokio::test]
async fn what_is_over_is_deleted_and_counted_although_nothing_new_comes() {
    let bench = Bench::new();
    let now = 1_626_803_900_000_i64;
    let (past, old) = (now - 1, now - 15 * 24 * 3_600_000);
    bench.sql(&format!(
        "DELETE FROM links;
         INSERT INTO users (id, subscription_id, email, name, role, created_at)
             VALUES (7, {subscription}, 'a@example.com', 'A', 'admin', 1);
         INSERT INTO sessions VALUES ('ended', 7, 1, 1, {past}, '', ''), ('lasts', 7, 1, 1, {now} + 1000, '', '');
         INSERT INTO links VALUES ('ended', 'invitation', 7, NULL, 1, {past}),
             ('lasts', 'invitation', 7, NULL, 1, {now} + 1000);
         INSERT INTO mails (id, recipient, subject, body_sealed, state, attempts, next_attempt_at, last_error, created_at, updated_at) VALUES (1, 'a', 's', NULL, 'sent', 1, 1, '', 1, {old}),
             (2, 'a', 's', NULL, 'failed', 1, 1, '', 1, {old}), (3, 'a', 's', NULL, 'sent', 1, 1, '', 1, {past}),
             (4, 'a', 's', 'x', 'waiting', 1, 1, '', 1, {old});",
        subscription = bench.subscription.0
    ));
    for _ in 0..2 {
        bench.catalog.prune().await.unwrap();
        let dropped = bench.catalog.dropped().await.unwrap();
        assert_eq!(dropped, [("sessions", 1), ("links", 1), ("mails", 2), ("forget_jobs", 0)]);
    }
    let catalog = reopen(bench.dir.path()).unwrap();
    assert_eq!(catalog.dropped().await.unwrap()[2], ("mails", 2), "the counts outlive a restart");
    let waiting: Vec<u64> = bench.catalog.mail().newest(10).await.unwrap().iter().map(|mail| mail.row.id).collect();
    assert_eq!(waiting, [3, 4], "what waits is not old");
}
