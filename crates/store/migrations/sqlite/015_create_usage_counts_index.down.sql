DROP INDEX usage_counts_user;
