# Draws the histogram of p(y*) of the bundled rollouts:  gnuplot -e "table='gap.tsv'; picture='gap.svg'" gap.gnuplot
set terminal svg size 720,380 dynamic background rgb 'white' font 'Helvetica,14'
set output picture
set datafile separator '\t'
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.85 noborder
set boxwidth 0.9
set xlabel 'p(y*), the student on the token that the teacher wants: a bar is a decade, from its label upwards'
set ylabel 'rows'
set yrange [0:*]
set key top right
set grid ytics lc rgb '#dddddd'
plot table using 2:xtic(sprintf('10^{%d}', int(column(1)))) lc rgb '#2166ac' title 'small gap', \
     table using 3 lc rgb '#b2182b' title 'large gap'
