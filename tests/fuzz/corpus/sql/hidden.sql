select '';drop table t;--'
