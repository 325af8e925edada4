CREATE TABLE flights (flight bigint, scheduled_at timestamptz, departed_at timestamptz, delay_min int, distance_mi int, origin text, destination text)
  WITH (topic = 'flights', format = 'json', event_time = 'scheduled_at', watermark = '1 hour', late_topic = 'flights-late');
CREATE TABLE delays (window_start timestamptz, haul text, flights bigint, mean_delay double precision, worst int)
  WITH (topic = 'delays', format = 'json');
CREATE TABLE readings (id int, at timestamptz, value double precision, ok boolean, note text NOT NULL, lasts interval, "Odd Name" text, window_end timestamptz);
CREATE TABLE out (a bigint, b double precision, c text, d timestamptz, e boolean, f interval);
CREATE TABLE one (n bigint);
