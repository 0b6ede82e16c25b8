# Draws the table of report.py:  gnuplot -e "table='vocabularies.tsv'; picture='vocabularies.svg'" vocabularies.gnuplot
set terminal svg size 840,420 dynamic noenhanced background rgb 'white' font 'Helvetica,14'
set output picture
set datafile separator '\t'
set key below height 0.5
set bmargin 9
set logscale x
set xrange [800:350000]
set yrange [0:*]
set xtics (1000, 4096, 32000, '49152' 49152, 100277, '151936' 151936, 262144) rotate by -35
set xlabel 'vocabulary' offset 0,-1
set ylabel 'ns per entry, loss and gradient'
set grid ytics lc rgb '#dddddd'
plot table skip 1 using 1:3 with linespoints pt 7 lw 2 lc rgb '#2166ac' title 'jensen_shannon', \
     table skip 1 using 1:2 with linespoints pt 7 lw 2 lc rgb '#1b7837' title 'forward_kl', \
     table skip 1 using 1:4 with linespoints pt 5 lw 2 lc rgb '#888888' title 'g = z − w, the floor'
