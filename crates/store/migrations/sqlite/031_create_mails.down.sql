DROP TABLE billing_profiles;
DROP TABLE mails;
