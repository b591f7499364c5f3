DROP TABLE open_requests;
DROP TABLE ingested;
DROP TABLE nodes;
