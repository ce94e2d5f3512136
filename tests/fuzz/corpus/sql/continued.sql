select 'a' -- ; '
 'b;'; select e'a' -- '
'\';'
