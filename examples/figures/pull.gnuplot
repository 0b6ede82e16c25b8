# Draws the table of pull.cpp:  gnuplot -e "table='pull.tsv'; picture='pull.svg'" pull.gnuplot
set terminal svg size 840,560 dynamic background rgb 'white' font 'Helvetica,14'
set output picture
set datafile separator '\t'
set key autotitle columnhead below height 0.5 spacing 1.3 samplen 2 maxrows 3
set logscale xy
set xrange [0.1:1e-8]
set yrange [1e-9:3]
set format x '10^{%T}'
set format y '10^{%T}'
set bmargin 9
set xlabel 'p(y*): what the student gives the token that the teacher gives 0.6' offset 0,0.3
set ylabel 'pull −∂L/∂z at y*'
set grid xtics ytics lc rgb '#dddddd'
plot table using 1:2 with lines lw 3 lc rgb '#1b7837' title 'TGPO guidance', \
     table using 1:3 with lines lw 3 lc rgb '#2166ac' title 'forward KL', \
     table using 1:4 with lines lw 2 dt 2 lc rgb '#67a9cf' title 'ToDi', \
     table using 1:5 with lines lw 2 lc rgb '#8c510a' title 'squared Hellinger', \
     table using 1:6 with lines lw 2 dt 2 lc rgb '#bf812d' title 'alpha-beta (0.2, 0.7)', \
     table using 1:11 with lines lw 2 dt 4 lc rgb '#888888' title 'chi-squared', \
     table using 1:8 with lines lw 2 lc rgb '#c51b7d' title 'skew forward KL 0.1', \
     table using 1:9 with lines lw 3 lc rgb '#b2182b' title 'reverse KL', \
     table using 1:7 with lines lw 2 lc rgb '#762a83' title 'Jensen-Shannon 0.5', \
     table using 1:10 with lines lw 2 dt 2 lc rgb '#444444' title 'total variation'
